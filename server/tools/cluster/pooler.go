package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// console runs commands in a pooler's console, which speaks the simple protocol only.
func (c *cluster) console(ctx context.Context, shard int, commands ...string) error {
	conn, err := c.connectAs(ctx, c.cfg.Shards[shard].Pooler, "pgbouncer", poolerAdmin, c.env["POSTGRES_PASSWORD"])
	if err != nil {
		return fmt.Errorf("%s's console: %w", poolerName(shard), err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, command := range commands {
		if _, err := conn.PgConn().Exec(ctx, command).ReadAll(); err != nil {
			return fmt.Errorf("%s: %s: %w", poolerName(shard), command, err)
		}
	}
	return nil
}

const (
	// pauseTimeout is how long transactions that run may take to end before a failover
	// is put off: meanwhile the pooler lets nobody else begin one.
	pauseTimeout = 2500 * time.Millisecond
	// waitWhilePaused, in seconds, is more than any request waits (REQUEST_TIMEOUT), so
	// that none is refused for it.
	waitWhilePaused = 60
)

// pausePooler keeps new transactions waiting, and returns when none runs any more and
// no connection to the primary is open.
func (c *cluster) pausePooler(ctx context.Context, shard int) error {
	ctx, cancel := context.WithTimeout(ctx, pauseTimeout)
	defer cancel()
	return c.console(ctx, shard, fmt.Sprintf("SET query_wait_timeout = %d", waitWhilePaused), "PAUSE "+c.cfg.Shards[shard].Database)
}

// startsWithin is how long a pooler that was just started, or that waited for a primary to start, may take.
const startsWithin = 15 * time.Second

// resumePooler lets everybody go on, at the primary that the data folders tell of.
func (c *cluster) resumePooler(ctx context.Context, shard int) error {
	if err := c.keeper.lead(ctx, shard); err != nil {
		return err
	}
	var err error
	waited := poll(ctx, startsWithin, func() bool {
		// RELOAD sets the timeout back, under those who have waited longer.
		err = c.console(ctx, shard, "RELOAD", fmt.Sprintf("SET query_wait_timeout = %d", waitWhilePaused), "RESUME "+c.cfg.Shards[shard].Database)
		return !errors.Is(err, syscall.ECONNREFUSED)
	})
	var answer *pgconn.PgError
	if errors.As(err, &answer) && strings.Contains(answer.Message, "not paused") {
		return nil
	}
	if err == nil {
		err = waited
	}
	return err
}
