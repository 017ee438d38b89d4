package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	shards "github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
)

// A failover swaps the roles of a shard's two instances. From the first step to the last at
// most one of them can take writes, and PgBouncer leads to that one only:
//
//  1. journal  who is to be promoted, to which epoch, is written down
//  2. fence    the primary's folder becomes a standby's: it can't come up as a primary again
//  3. pause    PgBouncer holds back new transactions and waits for the end of those that run
//  4. stop     the primary ends, which sends its replica everything, and comes up fenced
//  5. compare  the replica has replayed all that the fenced one has in its log
//  6. promote  the replica takes writes, on a timeline of its own
//  7. number   its first write is the epoch, by which everybody refuses the other
//  8. resume   PgBouncer goes on, at the new primary
//  9. rebuild  the old primary follows the new one; cloned, if it has what that lacks
//
// Until 6 an error undoes what was done. A run that was killed is finished by the next, or by
// `make up`: every step may be taken again.
type failover struct {
	*cluster
	shard      int
	from, to   instance // the primary before and after
	epoch      int64    // that the shard will have
	acceptLoss bool

	lost     bool      // the primary did not answer when we came
	fenced   bool      // a run before this one has stopped it
	decided  bool      // the replica was told to take over: there is no way back
	promoted time.Time // by the new primary's clock; nobody writes there yet
}

// failover promotes the replica of a shard, named as in SHARD=3.
func (c *cluster) failover(ctx context.Context, name string) error {
	shard, err := c.shardNumber(name)
	if err != nil {
		return err
	}
	if c.cfg.Shards[shard].Replica == "" {
		return fmt.Errorf("%s has no replica that could be promoted", c.cfg.Shards[shard].Name)
	}
	if err := c.keeper.prepare(ctx); err != nil {
		return err
	}
	return c.failoverShard(ctx, shard)
}

// finishFailovers goes on with those that were interrupted.
func (c *cluster) finishFailovers(ctx context.Context) error {
	for shard, s := range c.cfg.Shards {
		if s.Replica == "" || !fileExists(c.journal(shard)) {
			continue
		}
		c.out.say("failover   of %s was interrupted; going on with it", s.Name)
		if err := c.failoverShard(ctx, shard); err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) failoverShard(ctx context.Context, shard int) error {
	f := &failover{cluster: c, shard: shard, from: c.primaries()[shard], acceptLoss: os.Getenv("ACCEPT_LOSS") == "1"}
	for _, i := range c.replicas() {
		if i.shard == shard {
			f.to = i
		}
	}
	if err := f.readJournal(); err != nil {
		return err
	}
	if err := c.keeper.start(ctx, f.to.name, poolerName(shard)); err != nil {
		return err
	}
	what := fmt.Sprintf("%s: %s becomes its primary", c.cfg.Shards[shard].Name, f.to.name)
	if !c.wouldTakeWrites(f.to) {
		err := c.out.step("promoting", "promoted", what, func() error {
			if err := f.prepare(ctx); err != nil {
				return err
			}
			if err := f.switchOver(ctx); err != nil {
				return errors.Join(err, f.undo(ctx))
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return c.out.step("rebuilding", "rebuilt", fmt.Sprintf("%s as its replica", f.from.name), func() error { return f.finish(ctx) })
}

// prepare finds what would make it fail while nothing has been changed.
func (f *failover) prepare(ctx context.Context) error {
	recovering, err := f.askTwice(ctx)
	var final finalError
	if errors.As(err, &final) && fileExists(f.dataDir(f.from)) {
		return fmt.Errorf("%s: %w", f.from.name, err)
	}
	f.lost, f.fenced = err != nil, err == nil && recovering
	if f.lost {
		f.out.say("           %s does not answer: %v", f.from.name, err)
	}
	if err := f.await(ctx, f.to.name, func(ctx context.Context) error {
		standby, streaming, err := f.identify(ctx, f.to)
		switch {
		case err != nil:
			return err
		case !standby:
			return finalError{errors.New("takes writes already")}
		case !streaming && !f.lost && !f.fenced: // else it is waited for later
			return errors.New("does not follow its primary")
		}
		return nil
	}); err != nil {
		return fmt.Errorf("%w\nNothing was changed", err)
	}
	if err := f.chooseEpoch(ctx); err != nil {
		return err
	}
	to, err := f.connect(ctx, f.to.addr)
	if err != nil {
		return err
	}
	defer to.Close(context.WithoutCancel(ctx))
	// It keeps from now on what the other will need as its replica.
	if err := recreateSlot(ctx, to, f.shard); err != nil {
		return fmt.Errorf("%s: %w", f.to.name, err)
	}
	if f.lost || f.fenced {
		return nil
	}
	return f.settle(ctx, to)
}

// askTwice asks the old primary, and once more if it was only slow: on a busy machine it may
// be, and one that does not answer is killed.
func (f *failover) askTwice(ctx context.Context) (recovering bool, err error) {
	for range 2 {
		asking, cancel := context.WithTimeout(ctx, connectTimeout)
		recovering, _, err = f.identify(asking, f.from)
		slow := asking.Err() != nil
		cancel()
		if err == nil || !slow {
			break
		}
	}
	return recovering, err
}

// settle leaves little to do for the time in which requests wait: little to write at the
// primary's end, and little that the replica has not got.
func (f *failover) settle(ctx context.Context, to *pgx.Conn) error {
	from, err := f.connect(ctx, f.from.addr)
	if err != nil {
		return err
	}
	defer from.Close(context.WithoutCancel(ctx))
	if _, err := from.Exec(ctx, "CHECKPOINT"); err != nil {
		return err
	}
	const near = 1 << 20 // bytes: a replica replays that in milliseconds
	return f.await(ctx, f.to.name, func(ctx context.Context) error {
		var written string
		if err := from.QueryRow(ctx, "SELECT pg_current_wal_lsn()::text").Scan(&written); err != nil {
			return err
		}
		var behind int64
		if err := to.QueryRow(ctx, "SELECT pg_wal_lsn_diff($1::pg_lsn, pg_last_wal_replay_lsn())::bigint", written).Scan(&behind); err != nil {
			return err
		}
		if behind > near {
			return fmt.Errorf("is %d bytes behind its primary; nothing was changed", behind)
		}
		return nil
	})
}

// chooseEpoch asks the replica, which has replayed the last promotion: its own.
func (f *failover) chooseEpoch(ctx context.Context) error {
	if f.epoch != 0 {
		return nil // the journal says it
	}
	conn, err := f.inShard(ctx, f.to)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	epoch, err := shards.Epoch(ctx, conn)
	if err == nil && epoch == 0 {
		err = errors.New("its schema does not number promotions: run `make migrate-up` first")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", f.to.name, err)
	}
	f.epoch = epoch + 1
	return nil
}

// inShard connects as the superuser to the shard's own database.
func (f *failover) inShard(ctx context.Context, i instance) (*pgx.Conn, error) {
	return f.connectAs(ctx, i.addr, f.cfg.Shards[f.shard].Database, superuser, f.env["POSTGRES_PASSWORD"])
}

// stopTimeout is how long a primary may take to end cleanly while requests wait.
const stopTimeout = 10 * time.Second

// switchOver is what cannot be left half done.
func (f *failover) switchOver(ctx context.Context) error {
	f.step("journal")
	if err := f.writeJournal(); err != nil {
		return err
	}
	f.step("fence")
	if err := f.keeper.fence(f.from); err != nil {
		return err
	}
	f.step("pause")
	if !f.lost {
		if err := f.pause(ctx); err != nil {
			return err
		}
	}
	f.step("stop")
	if !f.fenced {
		if err := f.stop(ctx); err != nil {
			return err
		}
	}
	if f.lost { // only now: transactions at a server that hangs do not end before that does
		if err := f.pause(ctx); err != nil {
			f.out.say("           requests are not held back: %v", err)
		}
	}
	f.step("compare")
	if err := f.compare(ctx); err != nil {
		return err
	}
	f.step("promote")
	to, err := f.inShard(ctx, f.to)
	if err != nil {
		return err
	}
	defer to.Close(context.WithoutCancel(ctx))
	f.decided = true
	var promoted bool
	err = to.QueryRow(ctx, "SELECT pg_promote(true, 30)").Scan(&promoted)
	if err == nil && !promoted {
		err = errors.New("was not promoted within 30 s")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", f.to.name, err)
	}
	if err := to.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&f.promoted); err != nil {
		return err
	}
	return f.serve(ctx)
}

// stop ends the old primary, which its keeper then starts fenced.
func (f *failover) stop(ctx context.Context) error {
	switch {
	case !f.lost:
		return f.keeper.cycle(ctx, f.from, stopTimeout)
	case !fileExists(f.dataDir(f.from)): // it may run still, on files without names, or be started for ever
		return f.keeper.stop(ctx, f.from, 0)
	}
	return f.keeper.cycle(ctx, f.from, 0)
}

func (f *failover) pause(ctx context.Context) error {
	err := f.pausePooler(ctx, f.shard)
	if f.fenced && errors.Is(err, syscall.ECONNREFUSED) { // in Docker it waits for a primary, and nobody there
		return nil
	}
	if pgconn.Timeout(err) {
		err = fmt.Errorf("transactions did not end within %s, try again: %w", pauseTimeout, err)
	}
	return err
}

// step is where a test looks in.
func (f *failover) step(name string) {
	if f.atStep != nil {
		f.atStep(name)
	}
}

// serve numbers the promotion and lets everybody go on at the new primary.
func (f *failover) serve(ctx context.Context) error {
	f.step("number")
	conn, err := f.inShard(ctx, f.to)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "UPDATE shard_identity SET epoch = $1 WHERE epoch < $1", f.epoch); err != nil {
		return fmt.Errorf("%s: number the promotion: %w", f.to.name, err)
	}
	f.step("resume")
	return f.resumePooler(ctx, f.shard)
}

// undo gives the primary back what it was, unless the other was promoted.
func (f *failover) undo(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyTimeout)
	defer cancel()
	if f.decided {
		f.out.say("           run  make failover SHARD=%d  again, which finishes it", f.shard)
		return nil
	}
	undo := func() error {
		if err := f.keeper.unfence(f.from); err != nil {
			return err
		}
		if fileExists(f.dataDir(f.from)) && !f.takesWrites(ctx) {
			err := f.keeper.cycle(ctx, f.from, stopTimeout)
			if err == nil {
				err = f.primaryReady(ctx, f.from)
			}
			if err != nil && !f.lost { // what was lost need not come back
				return err
			}
		}
		if err := f.resumePooler(ctx, f.shard); err != nil {
			return err
		}
		return os.Remove(f.journal(f.shard))
	}
	if err := undo(); err != nil {
		return fmt.Errorf("this was not undone to the end; make failover SHARD=%d  or  make up  goes on with it: %w", f.shard, err)
	}
	f.out.say("           %s is the primary as before", f.from.name)
	return nil
}

// takesWrites tells whether the old primary was not stopped yet.
func (f *failover) takesWrites(ctx context.Context) bool {
	recovering, _, err := f.identify(ctx, f.from)
	return err == nil && !recovering
}

// finish has the rest follow the new primary.
func (f *failover) finish(ctx context.Context) error {
	if f.promoted.IsZero() { // a run before this one was killed, nobody knows where
		if err := f.serve(ctx); err != nil {
			return err
		}
	}
	f.step("rebuild")
	to, err := f.connect(ctx, f.to.addr)
	if err != nil {
		return err
	}
	defer to.Close(context.WithoutCancel(ctx))
	if !f.promoted.IsZero() {
		// Connections from when it was a replica end. Their owners look for one that is, and
		// ask the primary until then. PgBouncer's are younger.
		if _, err := to.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1 AND backend_start < $2", f.cfg.DBUser, f.promoted); err != nil {
			return err
		}
	}
	if err := f.rebuild(ctx, to); err != nil {
		return fmt.Errorf("%s serves; %s is not its replica yet: %w", f.to.name, f.from.name, err)
	}
	f.step("forget")
	if err := os.Remove(f.journal(f.shard)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return f.console(ctx, f.shard, "RELOAD") // with the shared query_wait_timeout
}
