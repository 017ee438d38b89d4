package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
)

// followTimeout is how long the old primary may take to follow the new one before it is
// cloned from it.
const followTimeout = 20 * time.Second

// rebuild has the old primary follow the new one: as it is, if it has nothing that the new
// one lacks.
func (f *failover) rebuild(ctx context.Context, to *pgx.Conn) error {
	if err := f.attach(ctx, to); err != nil {
		f.out.say("           %s cannot follow as it is: %v", f.from.name, err)
		if err := f.cloneAgain(ctx); err != nil {
			return err
		}
	}
	// A replica tells of the timeline it is on from its first restartpoint there on, for which
	// the primary has to make a checkpoint. Until then no read is proven fresh.
	var position string
	if _, err := to.Exec(ctx, "CHECKPOINT"); err != nil {
		return err
	}
	if err := to.QueryRow(ctx, "SELECT pg_current_wal_lsn()::text").Scan(&position); err != nil {
		return err
	}
	if err := f.awaitReplay(ctx, f.from, position); err != nil {
		return err
	}
	from, err := f.connect(ctx, f.from.addr)
	if err != nil {
		return err
	}
	defer from.Close(context.WithoutCancel(ctx))
	// The slot from its time as a primary would keep its log for ever.
	if _, err := from.Exec(ctx, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1 AND NOT active", slotName(f.shard)); err != nil {
		return err
	}
	_, err = from.Exec(ctx, "CHECKPOINT")
	return err
}

// attach tells the fenced server whom to follow, and waits until it is on the new timeline.
func (f *failover) attach(ctx context.Context, to *pgx.Conn) error {
	if !fileExists(f.dataDir(f.from)) {
		return errors.New("its data folder is gone")
	}
	var timeline string
	if err := to.QueryRow(ctx, "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)").Scan(&timeline); err != nil {
		return err
	}
	if err := f.keeper.follow(ctx, f.from, f.to); err != nil {
		return err
	}
	reloaded := false
	last := errors.New("it does not answer")
	waited := poll(ctx, followTimeout, func() bool {
		var there bool
		there, last = f.follows(ctx, timeline, &reloaded)
		return there
	})
	if waited != nil && last == nil {
		last = fmt.Errorf("it is not on timeline %s after %s", timeline, followTimeout)
	}
	return last
}

func (f *failover) follows(ctx context.Context, timeline string, reloaded *bool) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := f.connect(ctx, f.from.addr)
	if err != nil {
		return false, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if !*reloaded {
		if _, err := conn.Exec(ctx, "SELECT pg_reload_conf()"); err != nil {
			return false, err
		}
		*reloaded = true
	}
	var there bool
	err = conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming' AND received_tli = ('x' || $1)::bit(32)::int)", timeline).Scan(&there)
	return there, err
}

// cloneAgain makes the old primary a copy of the new one, and keeps what it had beside it:
// nobody else may have that.
func (f *failover) cloneAgain(ctx context.Context) error {
	if err := f.keeper.stop(ctx, f.from, stopTimeout); err != nil {
		return err
	}
	dir := f.dataDir(f.from)
	if fileExists(dir) {
		kept := dir + ".lost"
		if err := os.RemoveAll(kept); err != nil {
			return err
		}
		if err := os.Rename(dir, kept); err != nil {
			return err
		}
		f.out.say("           what %s had is kept in %s", f.from.name, f.keeper.serverDir(f.from)+".lost")
	}
	if err := f.keeper.clone(ctx, f.from); err != nil {
		return err
	}
	return f.replicaReady(ctx, f.from)
}
