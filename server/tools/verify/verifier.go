package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/primaries"
	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/progress"
)

// verifier holds a connection per shard, straight to the primaries.
type verifier struct {
	names []string
	set   *primaries.Set
}

func connect(ctx context.Context, cfg config.Config) (*verifier, error) {
	set, err := primaries.Connect(ctx, cfg)
	if err != nil {
		return nil, err
	}
	v := &verifier{set: set}
	for _, s := range cfg.Shards {
		v.names = append(v.names, s.Name)
	}
	return v, nil
}

func (v *verifier) close() { _ = v.set.Close() } // it only read

// verify scans all shards side by side, then looks at what does not look right.
func (v *verifier) verify(ctx context.Context, display *progress.Display) (*report, error) {
	r := newReport(v.names)
	bar := display.Bar("read", "users and claims", v.estimate(ctx), 0)
	suspects, open, err := v.scan(ctx, r, bar)
	if err != nil {
		return nil, err
	}
	if len(open) > 0 {
		unmatched, err := v.scanOpen(ctx, open, display)
		if err != nil {
			return nil, err
		}
		suspects = append(suspects, unmatched...)
	}
	slices.SortFunc(suspects, func(a, b suspect) int {
		return cmp.Or(cmp.Compare(a.shard, b.shard), slices.Compare(a.id[:], b.id[:]), cmp.Compare(a.key, b.key))
	})
	suspects = slices.Compact(suspects) // a user may be misplaced and unmatched
	if len(suspects) == 0 {
		return r, nil
	}
	looking := display.Bar("look", "suspects", int64(len(suspects)), 0)
	for _, s := range suspects {
		look := v.lookAtUser
		if s.key != "" {
			look = v.lookAtClaim
		}
		if err := look(ctx, s, r); err != nil {
			return nil, fmt.Errorf("%s: %w", v.names[s.shard], err)
		}
		looking.Add(1)
	}
	return r, nil
}
