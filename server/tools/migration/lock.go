package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"time"

	"github.com/golang-migrate/migrate/v4/database"
	"github.com/jackc/pgx/v5"
)

// lockPoll is how often a waiting run asks again. It asks, and does not wait inside PostgreSQL: a session that waits
// there holds a snapshot, and CREATE INDEX CONCURRENTLY on the other side would wait for that (a deadlock).
const lockPoll = 200 * time.Millisecond

// errLost ends a run whose lock is gone: another run may have begun.
var errLost = errors.New("lost the connection that holds this run's lock; what was applied is recorded, run it again")

// lockCluster takes the lock that lets one run at a time change this cluster: a session lock on the first shard's primary, also where
// this run is about others only, held by a connection of its own, so that it ends with this process however that ends. The context it returns is done when that
// connection is lost. unlock frees the lock.
func (t *tool) lockCluster(ctx context.Context) (locked context.Context, unlock func() error, err error) {
	first := t.cfg.Shards[0]
	p, err := t.connectWith(ctx, first, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w; nothing was changed", first.Name, err)
	}
	if err := p.await(ctx, t.clusterLock(), func(holder string) {
		t.con.err.printf("another run is at work (%s): waiting for it, at most %s", holder, t.set.RunLockTimeout)
	}); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%w; nothing was changed", err), p.close(ctx))
	}

	locked, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		// Nobody notifies this session: the call returns when the connection fails or the run is over.
		if _, err := p.conn.WaitForNotification(locked); locked.Err() == nil {
			cancel(fmt.Errorf("%w: %w", errLost, err))
		}
	}()
	return locked, func() error {
		cancel(nil)
		<-watched
		return p.close(ctx)
	}, nil
}

// clusterLock is the lock's number: one per table of versions, so that tests in a schema of their own need not queue.
func (t *tool) clusterLock() int64 {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "migration run\x00%s\x00%s", t.set.Schema, t.set.Table)
	return int64(h.Sum64())
}

// await takes a session lock, waiting at most RunLockTimeout. It calls waiting once, with who has the lock, if it is taken.
func (p *primary) await(ctx context.Context, id int64, waiting func(holder string)) error {
	ask := func() (got bool, err error) {
		ctx, cancel := context.WithTimeout(ctx, p.set.ConnectTimeout)
		defer cancel()
		err = p.conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", id).Scan(&got)
		return got, explain(err, "")
	}

	deadline := time.After(p.set.RunLockTimeout)
	again := time.NewTicker(lockPoll)
	defer again.Stop()
	for first := true; ; first = false {
		if got, err := ask(); err != nil || got {
			return err
		}
		if first {
			waiting(p.holder(ctx, id))
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return fmt.Errorf("stopped while waiting for another run: %w", context.Cause(ctx))
		case <-deadline:
			return fmt.Errorf("another run is still at work after %s (%s): wait for it to end, or end it, and run this again",
				p.set.RunLockTimeout, p.holder(ctx, id))
		}
	}
}

// holder says who has the lock, as well as it can.
func (p *primary) holder(ctx context.Context, id int64) string {
	ctx, cancel := context.WithTimeout(ctx, p.set.ConnectTimeout)
	defer cancel()

	var name string
	var since time.Time
	err := p.conn.QueryRow(ctx, `
		SELECT a.application_name, a.backend_start
		  FROM pg_locks l JOIN pg_stat_activity a USING (pid)
		 WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
		   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
		   AND (l.classid::bigint << 32) | l.objid::bigint = $1`, id).Scan(&name, &since)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return "just ended"
	case err != nil:
		return "unknown"
	}
	return fmt.Sprintf("%s, since %s", name, since.Local().Format(time.TimeOnly))
}

// withShardLock calls do under the lock of one shard.
func (p *primary) withShardLock(ctx context.Context, do func() error) (err error) {
	if err := p.lockShard(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.unlockShard(ctx)) }()
	return do()
}

func (p *primary) lockShard(ctx context.Context) error {
	id, err := p.shardLock()
	if err != nil {
		return err
	}
	return p.await(ctx, id, func(string) {})
}

func (p *primary) unlockShard(ctx context.Context) error {
	id, err := p.shardLock()
	if err != nil {
		return err
	}
	// After an interrupt too: the answer is what matters, and a lost session frees the lock by itself.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.set.ConnectTimeout)
	defer cancel()
	if _, err = p.conn.Exec(ctx, "SELECT pg_advisory_unlock($1)", id); p.conn.IsClosed() {
		return nil
	}
	return err
}

// shardLock is the number that golang-migrate's own command locks; it knows a database by the path of its URL.
func (p *primary) shardLock() (int64, error) {
	id, err := database.GenerateAdvisoryLockId("/"+p.conn.Config().Database, p.set.Schema, p.set.Table)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(id, 10, 64)
}
