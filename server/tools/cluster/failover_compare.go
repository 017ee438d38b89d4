package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// compare makes sure that the replica has everything that the fenced primary has, or
// that this may be lost.
func (f *failover) compare(ctx context.Context) error {
	if f.sentAll(ctx) {
		return nil
	}
	end, err := f.endOfLog(ctx)
	if err == nil {
		err = f.awaitReplay(ctx, f.to, end)
	}
	if err == nil {
		return nil
	}
	gap := f.gap(context.WithoutCancel(ctx))
	if !f.acceptLoss {
		return fmt.Errorf("%s cannot send what it has: %w\n%s\nBring %s back, or accept that loss with  make failover SHARD=%d ACCEPT_LOSS=1",
			f.from.name, err, gap, f.from.name, f.shard)
	}
	f.out.say("           lost: %s", gap)
	return nil
}

// sentAll tells whether the primary ended cleanly and the replica has replayed the last record
// in its log, the checkpoint of that. Nobody has to wait then until it is up again, fenced; if
// it already is, its folder doesn't tell any more, and it can be asked.
func (f *failover) sentAll(ctx context.Context) bool {
	if f.lost || f.fenced {
		return false
	}
	last, clean := shutdownCheckpoint(f.dataDir(f.from))
	if !clean {
		return false
	}
	conn, err := f.connect(ctx, f.to.addr)
	if err != nil {
		return false
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var there bool
	return poll(ctx, time.Second, func() bool {
		err = conn.QueryRow(ctx, "SELECT pg_last_wal_replay_lsn() > $1::pg_lsn", last).Scan(&there)
		return err != nil || there
	}) == nil && err == nil
}

// endOfLog returns up to where the fenced primary's log reaches, once it has read all of it.
func (f *failover) endOfLog(ctx context.Context) (end string, err error) {
	if !fileExists(f.dataDir(f.from)) {
		return "", fmt.Errorf("its data folder %s is gone", f.keeper.serverDir(f.from))
	}
	limit := readyTimeout
	if f.lost && f.acceptLoss {
		limit = readyTimeout / 3 // enough for a server that starts at all
	}
	var last error
	waited := poll(ctx, limit, func() bool {
		end, last = f.askEnd(ctx)
		return last == nil
	})
	if waited != nil {
		return "", fmt.Errorf("it does not come up, fenced, within %s: %w\n%s", limit, last, f.keeper.logEnd(f.from.name))
	}
	return end, nil
}

func (f *failover) askEnd(ctx context.Context) (end string, err error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := f.connect(ctx, f.from.addr)
	if err != nil {
		return "", err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	// A standby that follows nobody sleeps between looks for more log only when it has read
	// all there is.
	var standby, all bool
	err = conn.QueryRow(ctx, `SELECT pg_is_in_recovery(), EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'startup' AND wait_event = 'RecoveryRetrieveRetryInterval')`).Scan(&standby, &all)
	switch {
	case err != nil:
		return "", err
	case !standby:
		return "", errors.New("it has not been stopped yet")
	case !all:
		return "", errors.New("it still reads its log")
	}
	err = conn.QueryRow(ctx, "SELECT pg_last_wal_replay_lsn()::text").Scan(&end)
	return end, err
}

// awaitReplay waits until a standby has replayed its primary's log up to a position.
func (f *failover) awaitReplay(ctx context.Context, i instance, position string) error {
	conn, err := f.connect(ctx, i.addr)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var at string
	waited := poll(ctx, readyTimeout, func() bool {
		var there bool
		err = conn.QueryRow(ctx, "SELECT pg_last_wal_replay_lsn()::text, pg_last_wal_replay_lsn() >= $1::pg_lsn", position).Scan(&at, &there)
		return err != nil || there
	})
	if err == nil && waited != nil {
		err = fmt.Errorf("%s has replayed the log up to %s of %s after %s", i.name, at, position, readyTimeout)
	}
	return err
}

// gap says what is known of the difference between the two.
func (f *failover) gap(ctx context.Context) string {
	conn, err := f.connect(ctx, f.to.addr)
	if err != nil {
		return "what " + f.to.name + " has is not known: " + err.Error()
	}
	defer conn.Close(ctx)
	var position string
	var last *time.Time
	if err := conn.QueryRow(ctx, "SELECT pg_last_wal_replay_lsn()::text, pg_last_xact_replay_timestamp()").Scan(&position, &last); err != nil {
		return "what " + f.to.name + " has is not known: " + err.Error()
	}
	text := fmt.Sprintf("everything after %s in the log of %s, which is as far as %s has it", position, f.from.name, f.to.name)
	if last != nil {
		text += fmt.Sprintf(": what was written after %s, %s ago", last.UTC().Format(time.RFC3339Nano), time.Since(*last).Round(time.Millisecond))
	}
	return text
}
