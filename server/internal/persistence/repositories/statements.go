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

// write runs one of this package's statements on the shard's primary, where it
// changes what is stored under the keys. Each takes its deadline as $1 and
// answers with at most one row, whose first columns say whether it did its work
// and whether it came too late for it; the others are scanned into dest.
//
// The statements go past GORM's builder, which would number $1 anew wherever it
// stands, but not past its connection.
func write(ctx context.Context, s *shard.Shard, keys []string, statement string, args []any, dest ...any) (did bool, err error) {
	err = s.Write(ctx, keys, func(db *gorm.DB, deadline time.Time) error {
		var late bool
		args := append([]any{deadline}, args...)
		err := db.Statement.ConnPool.QueryRowContext(db.Statement.Context, statement, args...).
			Scan(append([]any{&did, &late}, dest...)...)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			did = false
			return nil
		case err == nil && !did && late:
			return shard.ErrTooLate
		}
		return err
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
