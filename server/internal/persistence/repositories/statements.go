package repositories

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"time"

	"gorm.io/gorm"

	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
)

// query is one of this package's statements, with its arguments from $2 on and
// where its row is scanned into. $1 is always the write's deadline.
//
// Statements go past GORM's builder, which would number $1 anew wherever it
// stands, but not past its connection.
type query struct {
	sql  string
	args []any
	dest []any
}

// row runs the query, and tells whether it answered with a row.
func (q query) row(db *gorm.DB, deadline time.Time, before ...any) (found bool, err error) {
	args := append([]any{deadline}, q.args...)
	err = db.Statement.ConnPool.QueryRowContext(db.Statement.Context, q.sql, args...).Scan(append(before, q.dest...)...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// write runs a statement on the shard's primary, where it changes what is stored
// under the keys. It answers with at most one row, whose first columns say
// whether it did its work and whether it came too late for it.
func write(ctx context.Context, s *shard.Shard, keys []string, statement string, args []any, dest ...any) (did bool, err error) {
	q := query{statement, args, dest}
	err = s.Write(ctx, keys, func(db *gorm.DB, deadline time.Time) error {
		var late bool
		found, err := q.row(db, deadline, &did, &late)
		if did = did && found; err == nil && !did && late {
			return shard.ErrTooLate
		}
		return err
	})
	return did, err
}

// writeOrLook is write for the statements that count. They answer whether they
// did their work, and no more, if with a row at all: to say in the same statement
// why they did not would cost a third more to plan, each time. So another is
// asked then, which says first whether it was too late.
func writeOrLook(ctx context.Context, s *shard.Shard, keys []string, do, look query) (did bool, err error) {
	err = s.Write(ctx, keys, func(db *gorm.DB, deadline time.Time) error {
		found, err := do.row(db, deadline, &did)
		if did = did && found; err != nil || did {
			return err
		}
		var late bool
		if _, err := look.row(db, deadline, &late); err != nil || !late {
			return err
		}
		return shard.ErrTooLate
	})
	return did, err
}

const (
	// maxAttempts is how often a write starts again because others were faster.
	// Each time somebody else got on, so this takes a crowd on one user or address.
	maxAttempts = 12
	// firstPause grows twofold from the third attempt on: 1 ms to 0.5 s.
	firstPause = time.Millisecond
)

// attempts yields the number of each attempt, after a pause of random length
// where others have got in the way before, until the context ends.
func attempts(ctx context.Context) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for attempt := range maxAttempts {
			if attempt >= 2 {
				most := firstPause << (attempt - 2)
				pause := time.NewTimer(time.Duration(rand.Int64N(int64(most)))) //nolint:gosec // spreads retries, keeps no secret
				select {
				case <-pause.C:
				case <-ctx.Done():
					pause.Stop()
				}
			}
			if !yield(attempt) {
				return
			}
		}
	}
}
