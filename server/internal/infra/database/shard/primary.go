package shard

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// ConnectPrimary connects to the one of a shard's servers that takes writes. It asks all
// of them, by connect, so that a server that was the primary before a promotion is
// refused as long as one other answers.
func ConnectPrimary(ctx context.Context, addrs []string, connect func(ctx context.Context, addr string) (*pgx.Conn, error)) (*pgx.Conn, error) {
	found := make([]server, len(addrs))
	var wg sync.WaitGroup
	for i, addr := range addrs {
		wg.Go(func() { found[i] = ask(ctx, addr, connect) })
	}
	wg.Wait()
	chosen, err := choose(found)
	for i, s := range found {
		if s.conn != nil && i != chosen {
			err = errors.Join(err, s.conn.Close(context.WithoutCancel(ctx)))
		}
	}
	if err != nil {
		if chosen >= 0 {
			err = errors.Join(err, found[chosen].conn.Close(context.WithoutCancel(ctx)))
		}
		return nil, err
	}
	return found[chosen].conn, nil
}

// firstEpoch is that of a shard whose replica was never promoted. One whose schema
// does not know epochs, yet or any more, counts as of that: its replica may hear of a
// migration a moment later.
const firstEpoch = 1

// server is what one said of itself.
type server struct {
	addr    string
	conn    *pgx.Conn
	err     error
	standby bool
	epoch   int64
}

func ask(ctx context.Context, addr string, connect func(ctx context.Context, addr string) (*pgx.Conn, error)) server {
	s := server{addr: addr}
	if s.conn, s.err = connect(ctx, addr); s.err != nil {
		return s
	}
	if s.err = s.conn.QueryRow(ctx, "SELECT pg_is_in_recovery()").Scan(&s.standby); s.err == nil {
		s.epoch, s.err = Epoch(ctx, s.conn)
	}
	s.epoch = max(s.epoch, firstEpoch)
	return s
}

// Epoch asks a server of a shard how often a replica was promoted there; 0 where nobody
// counts yet.
func Epoch(ctx context.Context, conn *pgx.Conn) (epoch int64, err error) {
	err = conn.QueryRow(ctx, "SELECT epoch FROM shard_identity").Scan(&epoch)
	var pgErr *pgconn.PgError
	undefined := errors.As(err, &pgErr) && (pgErr.Code == "42P01" || pgErr.Code == "42703") // table, column
	if undefined || errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	return epoch, err
}

// choose returns the index of the primary, or -1.
func choose(found []server) (int, error) {
	chosen, highest := -1, int64(0)
	var reasons []error
	for i, s := range found {
		switch {
		case s.err != nil:
			reasons = append(reasons, s.err)
			continue
		case s.standby:
			reasons = append(reasons, fmt.Errorf("%s is a replica (in recovery)", s.addr))
		case chosen >= 0 && s.epoch == found[chosen].epoch:
			return -1, fmt.Errorf("%w: %s and %s both take writes, in epoch %d: stop the one that was not promoted by make failover",
				ErrOutdated, found[chosen].addr, s.addr, s.epoch)
		case chosen < 0 || s.epoch > found[chosen].epoch:
			chosen = i
		}
		highest = max(highest, s.epoch)
	}
	switch {
	case chosen < 0:
		return -1, errors.Join(reasons...)
	case found[chosen].epoch < highest:
		return -1, fmt.Errorf("%w: %s takes writes, but is of epoch %d, and there was a promotion to epoch %d: it was the primary before and must not be written to; make up starts the one that is",
			ErrOutdated, found[chosen].addr, found[chosen].epoch, highest)
	}
	return chosen, nil
}
