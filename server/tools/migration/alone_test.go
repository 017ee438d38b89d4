package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

const (
	alone     = "-- migration: no transaction\n"
	makeIndex = alone + "-- Why.\nCREATE INDEX CONCURRENTLY a_n_idx ON a (n DESC) WHERE n > 0; |" + alone + "DROP INDEX CONCURRENTLY a_n_idx"
)

// valid tells of an index on shard 0: t, f, or nothing where there is none.
func (b *bench) valid(name string) string {
	return b.ask(0, "SELECT string_agg(indisvalid::text, '') FROM pg_index WHERE indexrelid = to_regclass('"+name+"')")
}

func TestIndexWithoutBlocking(t *testing.T) {
	t.Parallel()
	b := setup(t)

	got := b.run(t.Context(), "up", pairs(makeA, "CREATE INDEX CONCURRENTLY a_n_idx ON a (n)|"))
	require.ErrorContains(t, got.err, "whose first line is -- migration: no transaction")
	got = b.run(t.Context(), "up", pairs(makeA, alone+"CREATE INDEX CONCURRENTLY ON a (n)|"))
	require.ErrorContains(t, got.err, "with plain names")
	b.wantVersions(b.onAll(1)...)

	b.mustUp(pairs(makeA, makeIndex))
	b.wantVersions(b.onAll(2)...)
	require.Equal(t, "true", b.valid("a_n_idx"))
	require.NoError(t, b.run(t.Context(), "down", pairs(makeA, makeIndex)).err)
	b.wantVersions(b.onAll(1)...)
	require.Equal(t, "<nil>", b.valid("a_n_idx"))
}

// CREATE INDEX CONCURRENTLY waits for older transactions; lock_timeout is not meant for that.
func TestIndexWaitsForOlderTransactions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.mustUp(pairs(makeA))
	b.set.LockTimeout, b.set.LockPatience = 20*time.Millisecond, 50*time.Millisecond
	done := make(chan result)
	b.on(0, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "BEGIN; INSERT INTO a VALUES (1)")
		require.NoError(t, err)
		go func() { done <- b.run(context.Background(), "up", pairs(makeA, makeIndex)) }()
		pid := b.waiting("CREATE INDEX CONCURRENTLY")
		require.Eventually(t, func() bool { // longer than it would wait for a lock
			return b.ask(0, "SELECT clock_timestamp() - query_start > interval '100ms' FROM pg_stat_activity WHERE pid = "+pid) == "true"
		}, 20*time.Second, 5*time.Millisecond)
		_, err = conn.Exec(ctx, "COMMIT")
		return err
	})
	got := <-done
	require.NoError(t, got.err, got.text)
	require.Equal(t, "true", b.valid("a_n_idx"))
}

// waiting waits until a statement of this test's schema waits for a lock on shard 0, and returns its process.
func (b *bench) waiting(statement string) (pid string) {
	b.Helper()
	require.Eventually(b, func() bool {
		pid = b.ask(0, fmt.Sprintf(`SELECT coalesce(max(a.pid), 0) FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid
			JOIN pg_class c ON c.oid = l.relation WHERE c.relnamespace = '%s'::regnamespace AND a.wait_event_type = 'Lock' AND a.query LIKE '%%%s%%'`,
			b.set.Schema, statement))
		return pid != "0"
	}, 20*time.Second, 5*time.Millisecond)
	return pid
}

// What an interrupted file left is neither taken for the index nor for somebody else's change.
func TestIndexLeftUnfinished(t *testing.T) {
	t.Parallel()
	for _, interrupted := range []string{"up", "down"} {
		t.Run(interrupted, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			files := pairs(makeA, makeIndex)
			b.mustUp(pairs(makeA))
			if interrupted == "down" {
				b.mustUp(files)
			}
			done := make(chan result)
			b.on(0, func(ctx context.Context, conn *pgx.Conn) error {
				_, err := conn.Exec(ctx, "BEGIN; INSERT INTO a VALUES (1)")
				require.NoError(t, err)
				go func() { done <- b.run(context.Background(), interrupted, files) }()
				b.mustExec(0, "SELECT pg_terminate_backend("+b.waiting("INDEX CONCURRENTLY")+")")
				require.Error(t, (<-done).err)
				return nil
			})
			require.Equal(t, "false", b.valid("a_n_idx"))

			got := b.run(t.Context(), "up", files)
			require.NoError(t, got.err, got.text)
			if interrupted == "up" {
				require.Contains(t, got.text, "shard-0: 000002_step.up.sql: a_n_idx was left unfinished: making it anew")
			}
		})
	}
}

// The same file makes the index of a partitioned table, which PostgreSQL refuses, and goes on where it was interrupted.
func TestIndexOfAPartitionedTable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const partitioned = "CREATE TABLE a (n int) PARTITION BY HASH (n); CREATE TABLE a_p0 PARTITION OF a FOR VALUES WITH (MODULUS 2, REMAINDER 0); " +
		"CREATE TABLE a_p1 PARTITION OF a FOR VALUES WITH (MODULUS 2, REMAINDER 1) | DROP TABLE a"
	files := pairs(partitioned, makeIndex)
	b.mustUp(pairs(partitioned))
	done := make(chan result)
	b.on(0, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "BEGIN; INSERT INTO a_p1 SELECT n FROM generate_series(1, 20) n WHERE satisfies_hash_partition('a'::regclass, 2, 1, n)")
		require.NoError(t, err)
		go func() { done <- b.run(context.Background(), "up", files) }()
		b.mustExec(0, "SELECT pg_terminate_backend("+b.waiting("INDEX CONCURRENTLY")+")")
		require.Error(t, (<-done).err)
		return nil
	})
	require.Equal(t, "false", b.valid("a_n_idx"))

	b.mustUp(files)
	require.Equal(t, "true", b.valid("a_n_idx"))
	require.Equal(t, "2", b.ask(0, "SELECT count(*) FROM pg_inherits WHERE inhparent = 'a_n_idx'::regclass"))
	require.NoError(t, b.run(t.Context(), "down", files).err)
	require.Equal(t, "<nil>", b.valid("a_n_idx"))
}
