package shard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
)

// Inserts are writes of new records to a shard. Those that wait for the primary
// are sent together, and share one commit.
type Inserts[R any] struct {
	shard *Shard
	keys  func(R) []string
	many  func(db *gorm.DB, deadline time.Time, rows []R) (did []bool, err error)
	queue *batcher[R, bool]
}

// NewInserts returns the inserts by a statement that Shard.Write could run,
// which tells of each row whether it was inserted. The others it must have left
// as if they had not been there. Keys says what is changed by a row.
func NewInserts[R any](s *Shard, keys func(R) []string, many func(db *gorm.DB, deadline time.Time, rows []R) ([]bool, error)) *Inserts[R] {
	i := &Inserts[R]{shard: s, keys: keys, many: many}
	i.queue = &batcher[R, bool]{gate: s.primaryGate, tasks: s.primaryGate.tasks, together: i.write}
	return i
}

// Do has the row inserted by alone, or if it has to wait together with others,
// and by alone after all if that did not insert it. A nil error means that one
// of them did what it does; the others are those of Shard.Write.
func (i *Inserts[R]) Do(ctx context.Context, row R, alone func(context.Context)) error {
	did, err := i.queue.do(ctx, row, func(ctx context.Context) (bool, error) {
		alone(ctx)
		return true, nil
	})
	switch {
	case err == nil && !did:
		alone(ctx)
		return nil
	case err == nil, isDefinite(err), errors.Is(err, ErrOutcomeUnknown):
		return err
	default: // it was sent, and its caller has no more time
		return fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
	}
}

func (i *Inserts[R]) write(ctx context.Context, rows []R) (results []result[bool], err error) {
	keys := make([]string, 0, 2*len(rows))
	for _, row := range rows {
		keys = append(keys, i.keys(row)...)
	}
	err = i.shard.write(ctx, i.shard.primaryGate.pass, keys, func(db *gorm.DB, deadline time.Time) error {
		did, err := i.many(db, deadline, rows)
		results = make([]result[bool], len(did))
		for n := range did {
			results[n].out = did[n]
		}
		return err
	})
	return results, err
}
