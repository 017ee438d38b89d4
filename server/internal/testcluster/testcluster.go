// Package testcluster gives tests the real cluster that `make test` starts:
// primaries, replicas and poolers.
package testcluster

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/messenger-clone/messenger-clone-api/server/config"
)

// Open returns the settings of a cluster, which the environment has, too, and
// empties its tables. It is the test's own until that ends. Without a cluster the test is
// skipped, except in CI, where it fails.
func Open(t testing.TB) config.Config {
	t.Helper()
	Need(t)
	environ, release, err := take()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		t.Setenv(name, value)
	}
	cfg, err := config.LoadEnv("DB_PASSWORD", "DB_OWNER_PASSWORD")
	if err != nil {
		t.Fatal(err)
	}
	for i := range cfg.Shards {
		conn := Primary(t, cfg, i)
		for _, table := range []string{"users", "email_claims", "idempotency_keys", "idempotent_creates", "seed_chunks"} {
			MustExec(t, conn, "DELETE FROM "+table)
		}
	}
	return cfg
}

// Need skips the test where there is no cluster, but not in CI.
func Need(t testing.TB) {
	t.Helper()
	switch {
	case os.Getenv(variable) != "":
	case os.Getenv("CI") != "":
		t.Fatal(variable + " is not set: CI must not pass over the tests that need databases")
	default:
		t.Skip("needs databases: run `make test`")
	}
}

// Primary connects to shard i's primary, past its pooler, as the schema's owner.
func Primary(t testing.TB, cfg config.Config, i int) *pgx.Conn {
	t.Helper()
	return connect(t, cfg, cfg.Shards[i].Primary)
}

// Replica connects to shard i's replica as the schema's owner.
func Replica(t testing.TB, cfg config.Config, i int) *pgx.Conn {
	t.Helper()
	return connect(t, cfg, cfg.Shards[i].Replica)
}

func connect(t testing.TB, cfg config.Config, addr string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), cfg.DatabaseURL(addr, cfg.DBOwner, cfg.DBOwnerPassword).String())
	if err != nil {
		t.Fatalf("connect to %s: %v", addr, err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

// MustExec runs a statement.
func MustExec(t testing.TB, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// MustQuery returns the single column of a query's rows.
func MustQuery[T any](t testing.TB, conn *pgx.Conn, sql string, args ...any) []T {
	t.Helper()
	rows, err := conn.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	values, err := pgx.CollectRows(rows, pgx.RowTo[T])
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return values
}

// Await calls check until it returns nil, and fails the test with its last
// error after a time in which everything here is long done.
func Await(t testing.TB, check func() error) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("gave up waiting: %v", err)
		}
	}
}

// AwaitReplicas waits until every replica has replayed what its primary has
// written by now.
func AwaitReplicas(t testing.TB, cfg config.Config) {
	t.Helper()
	for i := range cfg.Shards {
		written := MustQuery[string](t, Primary(t, cfg, i), "SELECT pg_current_wal_lsn()::text")[0]
		replica := Replica(t, cfg, i)
		Await(t, func() error {
			var replayed bool // what is being replayed may cancel the query
			err := replica.QueryRow(t.Context(), "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn", written).Scan(&replayed)
			if err == nil && !replayed {
				err = fmt.Errorf("%s's replica has not replayed %s", cfg.Shards[i].Name, written)
			}
			return err
		})
	}
}
