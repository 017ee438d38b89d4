package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/messenger-clone/messenger-clone-api/server/migrations"
)

const (
	makeA = "CREATE TABLE a (n int) | DROP TABLE a"
	makeB = "CREATE TABLE b (n int); INSERT INTO b VALUES (1) | DROP TABLE b"
	makeC = "CREATE TABLE c (n int) | DROP TABLE c"
)

func TestUpAppliesThisServersFiles(t *testing.T) {
	t.Parallel()
	b := setup(t)
	list, err := migrations.List(migrations.FS())
	require.NoError(t, err)

	got := b.run(t.Context(), "up", migrations.FS())
	require.NoError(t, got.err)
	for _, shard := range b.cfg.Shards {
		require.Contains(t, got.text, shard.Name+": none → "+list[len(list)-1].String()+" in ")
	}
	b.wantVersions(b.onAll(len(list))...)

	got = b.run(t.Context(), "up", migrations.FS())
	require.NoError(t, got.err)
	require.Equal(t, len(b.cfg.Shards), strings.Count(got.text, "nothing to do"))

	for range list {
		require.NoError(t, b.run(t.Context(), "down", migrations.FS()).err)
	}
	b.wantVersions(b.onAll(0)...)
	require.Equal(t, "schema_migrations, schema_migrations_log",
		b.ask(0, "SELECT string_agg(tablename, ', ' ORDER BY tablename) FROM pg_tables WHERE schemaname = '"+b.set.Schema+"'"), "only the tool's own tables are left")
}

func TestLatestWhateverEachShardStandsAt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range b.cfg.Shards {
		one := *b
		one.cfg.Shards = b.cfg.Shards[i : i+1]
		if steps := []string{makeA, makeB, makeC}[:i%4]; len(steps) > 0 {
			one.mustUp(pairs(steps...))
		}
	}
	got := b.run(t.Context(), "status", pairs(makeA, makeB, makeC))
	require.NoError(t, got.err)
	require.Contains(t, got.text, "shard-0  none         no     3        ")
	if len(b.cfg.Shards) > 2 {
		require.Contains(t, got.text, "shard-2  000002_step  no     1        ")
	}

	got = b.run(t.Context(), "latest", pairs(makeA, makeB, makeC))
	require.NoError(t, got.err)
	require.Contains(t, got.text, "shard-0: now 000001_step")
	b.wantVersions(b.onAll(3)...)
	for i := range b.cfg.Shards {
		require.Equal(t, "1", b.ask(i, "SELECT count(*) FROM b"), "applied once on shard %d", i)
	}
}

// A file that cannot be applied on one shard stops that shard alone, leaves no trace there, and is resumed once it can.
func TestOneShardFails(t *testing.T) {
	t.Parallel()
	b := setup(t)
	last := len(b.cfg.Shards) - 1
	files := pairs(makeA, makeB, "CREATE TABLE c (n int); ALTER TABLE a ADD CONSTRAINT small CHECK (n < 10)|")
	b.mustUp(pairs(makeA))
	b.mustExec(last, "INSERT INTO a VALUES (11)")

	got := b.run(t.Context(), "up", files)
	require.ErrorContains(t, got.err, fmt.Sprintf("shard-%d: 000003_step.up.sql: check constraint \"small\"", last))
	require.ErrorContains(t, got.err, "run the same command again")
	require.Contains(t, got.text, fmt.Sprintf("shard-%d  000002_step  no     1", last))
	want := b.onAll(3)
	want[last] = 2
	b.wantVersions(want...)
	require.Equal(t, "false", b.ask(last, "SELECT to_regclass('c') IS NOT NULL"))

	b.mustExec(last, "DELETE FROM a")
	b.mustUp(files)
	b.wantVersions(b.onAll(3)...)
	require.Equal(t, "1", b.ask(last, "SELECT count(*) FROM b"), "not applied twice")
}

// What a broken file did before the broken place is gone, and the mended file is simply applied.
func TestBrokenFileIsMended(t *testing.T) {
	t.Parallel()
	b := setup(t)

	got := b.run(t.Context(), "up", pairs(makeA, "CREATE TABLE b (n int);\nCREATE TABEL c (n int)|"))
	for _, shard := range b.cfg.Shards {
		require.ErrorContains(t, got.err, shard.Name+": 000002_step.up.sql: line 2: syntax error at or near \"TABEL\"")
	}
	b.wantVersions(b.onAll(1)...)
	require.Equal(t, "false", b.ask(0, "SELECT to_regclass('b') IS NOT NULL"))

	b.mustUp(pairs(makeA, makeB))
	b.wantVersions(b.onAll(2)...)
}

func TestTwoRunsAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	results := make(chan result)
	for range 2 {
		go func() { results <- b.run(context.Background(), "up", pairs(makeA, makeB, makeC)) }()
	}
	for range 2 {
		got := <-results
		require.NoError(t, got.err, got.text)
	}
	for i := range b.cfg.Shards {
		require.Equal(t, "1", b.ask(i, "SELECT count(*) FROM b"), "applied once on shard %d", i)
	}
}

func TestSecondRunGivesUpInTime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, err := newTool("up", b.cfg, b.set, pairs(makeA), console{})
	require.NoError(t, err)
	_, unlock, err := first.lockCluster(t.Context())
	require.NoError(t, err)

	patient := b.set.RunLockTimeout
	b.set.RunLockTimeout = 50 * time.Millisecond
	got := b.run(t.Context(), "up", pairs(makeA))
	require.ErrorContains(t, got.err, "another run is still at work after 50ms ("+first.name[:20])
	require.ErrorContains(t, got.err, "nothing was changed")
	require.Contains(t, got.text, "waiting for it")
	b.wantVersions(b.onAll(0)...)

	require.NoError(t, unlock())
	b.set.RunLockTimeout = patient
	b.mustUp(pairs(makeA))
}

// sleeping waits until a run is inside pg_sleep on shard i, and returns the process that serves it.
func (b *bench) sleeping(i int) (pid string) {
	b.Helper()
	require.Eventually(b, func() bool {
		pid = b.ask(i, `SELECT coalesce(max(pid), 0) FROM pg_stat_activity
			WHERE wait_event = 'PgSleep' AND query LIKE '%`+b.set.Schema+`%'`)
		return pid != "0"
	}, 20*time.Second, 10*time.Millisecond)
	return pid
}

// slow sleeps in the middle of its work.
func (b *bench) slow() string {
	return "CREATE TABLE b (n int); SELECT pg_sleep(60) /* " + b.set.Schema + " */"
}

func TestInterruptedRunGoesOn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	done := make(chan result)
	go func() { done <- b.run(ctx, "up", pairs(makeA, b.slow())) }()
	for i := range b.cfg.Shards {
		b.sleeping(i)
	}
	interrupt()

	got := <-done
	require.ErrorContains(t, got.err, "shard-0: 000002_step.up.sql: interrupted")
	b.wantVersions(b.onAll(1)...)
	b.mustUp(pairs(makeA, makeB))
}

func TestLostSessionGoesOn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	done := make(chan result)
	go func() { done <- b.run(context.Background(), "up", pairs(makeA, b.slow())) }()
	for i := range b.cfg.Shards {
		b.mustExec(i, "SELECT pg_terminate_backend("+b.sleeping(i)+")")
	}

	got := <-done
	require.ErrorContains(t, got.err, "shard-0: 000002_step.up.sql: terminating connection")
	b.wantVersions(b.onAll(1)...)
	b.mustUp(pairs(makeA, makeB))
}

// A run that lost its lock stops: another one may have begun.
func TestLostLockStopsTheRun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	done := make(chan result)
	go func() { done <- b.run(context.Background(), "up", pairs(makeA, b.slow())) }()
	for i := range b.cfg.Shards {
		b.sleeping(i)
	}
	tool, err := newTool("up", b.cfg, b.set, pairs(makeA), console{})
	require.NoError(t, err)
	b.mustExec(0, fmt.Sprintf(`SELECT pg_terminate_backend(pid) FROM pg_locks
		WHERE locktype = 'advisory' AND objsubid = 1 AND (classid::bigint << 32) | objid::bigint = %d`, tool.clusterLock()))

	got := <-done
	require.ErrorIs(t, got.err, errLost)
	b.wantVersions(b.onAll(1)...)
	b.mustUp(pairs(makeA, makeB))
}

func TestFileWithItsOwnTransaction(t *testing.T) {
	t.Parallel()
	b := setup(t)

	got := b.run(t.Context(), "up", pairs("BEGIN;\nCREATE TABLE a (n int);\nCOMMIT;|"))
	require.ErrorContains(t, got.err, `the file has "BEGIN;" in it`)
	got = b.run(t.Context(), "up", pairs("SELECT '$'; CREATE TABLE a (n int); COMMIT;|"))
	require.ErrorContains(t, got.err, "ended its own transaction")
	b.wantVersions(b.onAll(0)...)
}

func TestLockNotFreeInTime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.mustUp(pairs(makeA))
	b.set.LockTimeout, b.set.LockPatience = 20*time.Millisecond, time.Second

	held, err := newTool("test", b.cfg, b.set, pairs(makeA), console{})
	require.NoError(t, err)
	user, err := held.connect(t.Context(), b.cfg.Shards[0])
	require.NoError(t, err)
	_, err = user.conn.Exec(t.Context(), "BEGIN; SELECT * FROM a")
	require.NoError(t, err)
	got := b.run(t.Context(), "up", pairs(makeA, "ALTER TABLE a ADD m int|"))
	require.ErrorContains(t, got.err, "shard-0: 000002_step.up.sql: canceling statement due to lock timeout")
	require.ErrorContains(t, got.err, "at a quieter time")
	require.Contains(t, got.text, "shard-0: 000002_step.up.sql: a lock was not free in time, attempt 2: letting the traffic pass")

	b.set.LockPatience = time.Minute
	done := make(chan result)
	go func() { done <- b.run(context.Background(), "up", pairs(makeA, "ALTER TABLE a ADD m int|")) }()
	require.Eventually(t, func() bool { // it waits, and its traffic is let pass
		return b.ask(0, "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND wait_event_type = 'Lock' AND query LIKE 'ALTER TABLE a ADD m int%'") == "1"
	}, 20*time.Second, time.Millisecond)
	require.NoError(t, user.close(t.Context()))
	got = <-done
	require.NoError(t, got.err)
}
