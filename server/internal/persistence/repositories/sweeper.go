package repositories

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"gorm.io/gorm"

	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
)

const (
	sweepInterval = 10 * time.Second
	sweepTimeout  = 30 * time.Second
	// sweepBatch keeps a statement short however much there is to do.
	sweepBatch = 500
	// unsettledFor is how long a claim is left alone. Nothing depends on it but
	// that changes which are under way are not made to begin again.
	unsettledFor = time.Minute
)

const (
	deleteExpiredKeys = `
WITH expired AS (
    SELECT key_hash FROM idempotency_keys WHERE expires_at <= clock_timestamp() ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM idempotency_keys AS k USING expired AS e WHERE k.key_hash = e.key_hash AND clock_timestamp() < $1::timestamptz RETURNING 1
)
SELECT true, false, count(*) FROM gone`

	deleteExpiredNotes = `
WITH expired AS (
    SELECT user_id FROM idempotent_creates WHERE expires_at <= clock_timestamp() ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM idempotent_creates AS c USING expired AS e WHERE c.user_id = e.user_id AND clock_timestamp() < $1::timestamptz RETURNING 1
)
SELECT true, false, count(*) FROM gone`
)

// Sweeper brings to an end what writes that were cut off have left: claims to
// addresses that nobody carries, and records of creates that have expired. It
// does nothing that two could not do at a time.
type Sweeper struct {
	users        *ShardedUsers
	unsettledFor time.Duration
	log          *slog.Logger
}

// NewSweeper returns a Sweeper of everything that users has stored.
func NewSweeper(users *ShardedUsers, log *slog.Logger) *Sweeper {
	return &Sweeper{users: users, unsettledFor: unsettledFor, log: log}
}

// Swept counts what was brought to an end.
type Swept struct {
	Claims int // settled or released
	Keys   int // idempotency keys
	Notes  int // that a create was done
}

// Run sweeps every few seconds, while leads says that this process shall, until
// ctx is done.
func (w *Sweeper) Run(ctx context.Context, leads func() bool) {
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if !leads() {
			continue
		}
		swept, err := w.SweepOnce(ctx)
		if err != nil && ctx.Err() == nil {
			w.log.Warn("not everything was swept", "err", err.Error())
		}
		if swept != (Swept{}) {
			w.log.Info("swept", "claims", swept.Claims, "idempotency_keys", swept.Keys, "notes", swept.Notes)
		}
	}
}

// SweepOnce looks at every shard. One that fails does not keep the others dirty.
func (w *Sweeper) SweepOnce(ctx context.Context) (swept Swept, err error) {
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		errs []error
	)
	for _, s := range w.users.router.All() {
		wg.Go(func() {
			claims, claimsErr := w.sweepClaims(ctx, s)
			keys, keysErr := deleteExpired(ctx, s, deleteExpiredKeys)
			notes, notesErr := deleteExpired(ctx, s, deleteExpiredNotes)
			mu.Lock()
			defer mu.Unlock()
			swept.Claims += claims
			swept.Keys += keys
			swept.Notes += notes
			errs = append(errs, claimsErr, keysErr, notesErr)
		})
	}
	wg.Wait()
	return swept, errors.Join(errs...)
}

// sweepClaims goes through the shard's claims that have been in flight for too
// long. One that cannot be judged now does not hold up those behind it.
func (w *Sweeper) sweepClaims(ctx context.Context, s *shard.Shard) (swept int, err error) {
	var errs []error
	for last := (claimRow{UnsettledAt: &time.Time{}}); ; {
		var batch []claimRow
		err := s.ReadPrimary(ctx, func(db *gorm.DB) error {
			return db.Where("unsettled_at <= clock_timestamp() - ?::bigint * interval '1 microsecond'", w.unsettledFor.Microseconds()).
				Where("(unsettled_at, email_key) > (?, ?)", last.UnsettledAt, last.EmailKey).
				Order("unsettled_at, email_key").Limit(sweepBatch).Find(&batch).Error
		})
		if err != nil {
			return swept, errors.Join(append(errs, translate(s.Name, "select unsettled claims", err))...)
		}
		for _, row := range batch {
			if err := w.sweepClaim(ctx, s, row); err != nil {
				errs = append(errs, err)
				continue
			}
			swept++
		}
		if len(batch) < sweepBatch {
			return swept, errors.Join(errs...)
		}
		last = batch[len(batch)-1]
	}
}

// sweepClaim settles a claim whose user carries the address, and releases it
// else. A change that is still under way finds its user's version raised.
func (w *Sweeper) sweepClaim(ctx context.Context, s *shard.Shard, row claimRow) error {
	w.users.at(ctx, "seen")
	carried, err := w.users.judge(ctx, row.EmailKey, claim{row.UserID, row.Token})
	if err != nil {
		return err
	}
	w.users.at(ctx, "judged")
	switch {
	case w.users.router.For(row.EmailKey) != s:
		return w.takeHome(ctx, s, row, carried)
	case carried:
		return w.users.settle(ctx, row.EmailKey, row.Token)
	default:
		return w.users.release(ctx, row.EmailKey, row.Token)
	}
}

// takeHome moves a claim to the shard that owns its address, where it stays to
// be settled. It is where it is because the address was changed before there
// were claims.
func (w *Sweeper) takeHome(ctx context.Context, s *shard.Shard, row claimRow, carried bool) error {
	if carried {
		if _, err := w.users.claimFor(ctx, row.EmailKey, row.UserID); err != nil {
			return fmt.Errorf("user %s has the address of another: %w", row.UserID, err)
		}
	}
	_, err := write(ctx, s, []string{row.EmailKey}, releaseEmail, []any{row.EmailKey, row.Token})
	return translateUnseen(s.Name, "release e-mail", err)
}

func deleteExpired(ctx context.Context, s *shard.Shard, statement string) (deleted int, err error) {
	for {
		var batch int
		// Nobody reads these from a replica, so no key needs to be kept fresh.
		if _, err := write(ctx, s, nil, statement, []any{sweepBatch}, &batch); err != nil {
			return deleted, translateUnseen(s.Name, "delete expired records", err)
		}
		deleted += batch
		if batch < sweepBatch {
			return deleted, nil
		}
	}
}
