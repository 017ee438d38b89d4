package shard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
)

// Writes are single changes of a shard. Those that wait for the primary are sent
// together, and share one commit.
type Writes[R, V any] struct {
	shard *Shard
	keys  func(R) []string
	many  func(db *gorm.DB, deadline time.Time, wanted []R) (did []*V, err error)
	queue *batcher[R, *V]
}

// NewWrites returns the writes by a statement that Shard.Write could run, which
// tells of each whether it was done, and what came of it. The others it must
// have left as if they had not been there. Keys says what is changed by one.
func NewWrites[R, V any](s *Shard, keys func(R) []string, many func(db *gorm.DB, deadline time.Time, wanted []R) ([]*V, error)) *Writes[R, V] {
	w := &Writes[R, V]{shard: s, keys: keys, many: many}
	w.queue = &batcher[R, *V]{gate: s.primaryGate, tasks: s.primaryGate.tasks, together: w.write}
	return w
}

// Do has what is wanted done by alone, or if it has to wait together with others,
// and by alone after all if that did not do it. Without an error one of them did
// what it does: alone, if Do returns nil. The errors are those of Shard.Write.
func (w *Writes[R, V]) Do(ctx context.Context, wanted R, alone func(context.Context)) (*V, error) {
	went := false
	did, err := w.queue.do(ctx, wanted, func(ctx context.Context) (*V, error) {
		went = true
		alone(ctx)
		return nil, nil //nolint:nilnil // alone tells by itself what came of it
	})
	switch {
	case err == nil:
		if did == nil && !went {
			alone(ctx)
		}
		return did, nil
	case isDefinite(err), errors.Is(err, ErrOutcomeUnknown):
		return nil, err
	default: // it was sent, and its caller has no more time
		return nil, fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
	}
}

func (w *Writes[R, V]) write(ctx context.Context, wanted []R) (results []result[*V], err error) {
	keys := make([]string, 0, 2*len(wanted))
	for _, one := range wanted {
		keys = append(keys, w.keys(one)...)
	}
	err = w.shard.write(ctx, w.shard.primaryGate.pass, keys, func(db *gorm.DB, deadline time.Time) error {
		did, err := w.many(db, deadline, wanted)
		results = make([]result[*V], len(did))
		for n := range did {
			results[n].out = did[n]
		}
		return err
	})
	return results, err
}
