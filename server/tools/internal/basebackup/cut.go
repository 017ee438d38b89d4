package basebackup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"

	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/primaries"
)

// cut returns a position in each shard's log such that all together show one moment.
//
// Positions that were merely read one after the other would not do: a change of address claims it on one shard and then changes the
// user on another. If the first position was read before the claim, and the second after the change, the user would be restored without the
// claim, and somebody else could have the address. So for the few milliseconds between the first reading and the last, no user
// changes anywhere: a claim that a user of before relies on is flushed by then, and no later user relies on any other.
func cut(ctx context.Context, set *primaries.Set) (at []LSN, blocked time.Duration, err error) {
	const attempts = 20
	for attempt := range attempts {
		// A worker of autovacuum gives way to who waits for longer than deadlock_timeout (1 s).
		patience := 300 * time.Millisecond
		if attempt > 0 {
			patience = 1500 * time.Millisecond
		}
		at, blocked, err = tryCut(ctx, set, patience)
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.Code != "55P03" { // lock_not_available
			return at, blocked, err
		}
	}
	return nil, 0, fmt.Errorf("some transaction has kept users locked for %d attempts: end it and try again: %w", attempts, err)
}

func tryCut(ctx context.Context, set *primaries.Set, patience time.Duration) ([]LSN, time.Duration, error) {
	began := time.Now()
	txs := make([]pgx.Tx, len(set.Conns))
	defer func() {
		for _, tx := range txs {
			if tx != nil {
				_ = tx.Rollback(context.WithoutCancel(ctx)) // it changed nothing
			}
		}
	}()
	err := onEach(ctx, set, func(ctx context.Context, i int) (err error) {
		if txs[i], err = set.Conns[i].Begin(ctx); err != nil {
			return err
		}
		if _, err := txs[i].Exec(ctx, fmt.Sprintf("SET LOCAL lock_timeout = %d", patience.Milliseconds())); err != nil {
			return err
		}
		_, err = txs[i].Exec(ctx, "LOCK TABLE users IN SHARE MODE")
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	at := make([]LSN, len(txs))
	err = onEach(ctx, set, func(ctx context.Context, i int) error {
		var text string
		if err := txs[i].QueryRow(ctx, "SELECT pg_current_wal_flush_lsn()::text").Scan(&text); err != nil {
			return err
		}
		var err error
		at[i], err = parseLSN(text)
		return err
	})
	return at, time.Since(began), err
}

func onEach(ctx context.Context, set *primaries.Set, do func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for i := range set.Conns {
		g.Go(func() error { return do(ctx, i) })
	}
	return g.Wait()
}
