package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/messenger-clone/messenger-clone-api/server/migrations"
)

// firstPartitionable is the version from which on users has no unique index that a partitioned table cannot have.
const firstPartitionable = 7

// firstFiles are the server's own migrations up to a version.
func firstFiles(t testing.TB, version int) fs.FS {
	t.Helper()
	list, err := migrations.List(migrations.FS())
	require.NoError(t, err)
	files := fstest.MapFS{}
	for _, m := range list[:version] {
		for _, name := range []string{m.UpFile(), m.DownFile()} {
			text, err := fs.ReadFile(migrations.FS(), name)
			require.NoError(t, err)
			files[name] = &fstest.MapFile{Data: text}
		}
	}
	return files
}

// rebuilt runs partition or, with 0, unpartition on some shards, or with none named on all.
func (b *bench) rebuilt(partitions int, shards string) result {
	b.Helper()
	var printed bytes.Buffer
	con := console{out: &lines{w: &printed}}
	con.err = con.out
	t, err := newTool("partition", b.cfg, b.set, migrations.FS(), con)
	require.NoError(b, err)
	require.NoError(b, t.choose(shards))
	t.dry, t.partitions = b.dry, partitions
	action := t.partition
	if partitions == 0 {
		action = t.unpartition
	}
	err = action(b.Context())
	return result{printed.String(), err}
}

// fill makes users on every shard.
func (b *bench) fill(n int) {
	b.Helper()
	for i := range b.cfg.Shards {
		b.mustExec(i, fmt.Sprintf("INSERT INTO users (id, name, email, created_at, updated_at) SELECT gen_random_uuid(), 'User ' || n, 'u' || n || '@example.com', now(), now() FROM generate_series(1, %d) n", n))
	}
}

// Every migration works, up and down, whether users is partitioned or not, and makes the same of both.
func TestEveryFileOnBothLayouts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	list, err := migrations.List(migrations.FS())
	require.NoError(t, err)
	b.mustUp(firstFiles(t, firstPartitionable))
	b.fill(100)
	got := b.rebuilt(4, "1,3")
	require.NoError(t, got.err, got.text)

	for version := firstPartitionable + 1; version <= len(list); version++ {
		got := b.run(t.Context(), "up", firstFiles(t, version)) // which compares the shards
		require.NoError(t, got.err, got.text)
	}
	require.Contains(t, b.run(t.Context(), "status", migrations.FS()).text, "4 partitions\n")
	for version := len(list); version > 2; version-- {
		got := b.run(t.Context(), "down", migrations.FS())
		require.NoError(t, got.err, got.text)
	}
	// Before claims there were unique addresses instead, and those a partitioned table cannot have.
	got = b.run(t.Context(), "down", migrations.FS())
	require.ErrorContains(t, got.err, "shard-1: 000002_claim_emails.down.sql: unique constraint on partitioned table must include all partitioning columns")
	b.wantVersions(1, 2, 1, 2, 1)
	require.NoError(t, b.rebuilt(0, "1,3").err)
	require.NoError(t, b.run(t.Context(), "down", migrations.FS()).err)
	b.mustUp(migrations.FS())
}

// users reads all users of a shard, with what a write changes of them.
func (b *bench) users(i int) map[uuid.UUID]string {
	b.Helper()
	found := map[uuid.UUID]string{}
	b.on(i, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, "SELECT id, name || ' ' || email_key || ' ' || version FROM users")
		if err != nil {
			return err
		}
		var id uuid.UUID
		var rest string
		_, err = pgx.ForEachRow(rows, []any{&id, &rest}, func() error {
			if _, twice := found[id]; twice {
				b.Errorf("user %s is there twice", id)
			}
			found[id] = rest
			return nil
		})
		return err
	})
	return found
}

// churn creates, changes and deletes users of shard i until stop is closed. It returns what there must be then.
func (b *bench) churn(i int, stop <-chan struct{}) map[uuid.UUID]string {
	mine := b.users(i)
	ids := slices.Collect(maps.Keys(mine))
	b.on(i, func(_ context.Context, conn *pgx.Conn) error {
		ctx := context.Background()
		for n := 0; ; n++ {
			select {
			case <-stop:
				return nil
			default:
			}
			var err error
			switch {
			case n%3 == 0:
				id := uuid.New()
				email := id.String() + "@example.com"
				_, err = conn.Exec(ctx, "INSERT INTO users (id, name, email, created_at, updated_at) VALUES ($1, 'new', $2, now(), now())", id, email)
				ids, mine[id] = append(ids, id), "new "+email+" 1"
			case n%3 == 1:
				id := ids[rand.IntN(len(ids))]
				_, err = conn.Exec(ctx, "UPDATE users SET name = $2, email = $3, version = $4 WHERE id = $1", id, fmt.Sprint(n), fmt.Sprintf("%d@example.com", n), n)
				mine[id] = fmt.Sprintf("%d %d@example.com %d", n, n, n)
			default:
				at := rand.IntN(len(ids))
				_, err = conn.Exec(ctx, "DELETE FROM users WHERE id = $1", ids[at])
				delete(mine, ids[at])
				ids[at] = ids[len(ids)-1]
				ids = ids[:len(ids)-1]
			}
			if err != nil {
				return fmt.Errorf("shard %d, statement %d: %w", i, n, err)
			}
		}
	})
	return mine
}

// No write fails, is lost or done twice while the table changes its layout and back.
func TestRebuildWhileWritten(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.mustUp(migrations.FS())
	b.fill(3000)
	stop := make(chan struct{})
	left := make([]map[uuid.UUID]string, len(b.cfg.Shards))
	var writers sync.WaitGroup
	for i := range b.cfg.Shards {
		writers.Go(func() { left[i] = b.churn(i, stop) })
	}
	for _, partitions := range []int{8, 3, 0} {
		got := b.rebuilt(partitions, "")
		if got.err != nil {
			close(stop)
			writers.Wait()
		}
		require.NoError(t, got.err, got.text)
		require.Contains(t, got.text, "→ "+describePartitions(partitions))
	}
	close(stop)
	writers.Wait()

	for i := range b.cfg.Shards {
		require.Equal(t, left[i], b.users(i), "shard %d", i)
	}
	require.Equal(t, "0", b.ask(0, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE '"+b.set.Schema+"\\_%'"), "nothing is left of it")
}

// The tool is killed at random moments of a rebuild; users are there all the time, and the next run ends it.
func TestRebuildKilledAtAnyMoment(t *testing.T) {
	kills := 4
	if os.Getenv("TEST_LONG") != "" {
		kills = 25
	}
	b := setup(t)
	config := b.onDisk()
	require.NoError(t, os.CopyFS(filepath.Join(filepath.Dir(config), "migrations"), migrations.FS()))
	b.mustUp(migrations.FS())
	b.fill(5000)
	count := func() (list string) {
		for i := range b.cfg.Shards {
			list += b.ask(i, "SELECT count(*) || ':' || count(DISTINCT id) FROM users") + " "
		}
		return list
	}
	want := strings.Repeat("5000:5000 ", len(b.cfg.Shards))

	commands := [][]string{{"-partitions", "4", "partition"}, {"unpartition"}}
	begin := time.Now()
	for _, command := range commands {
		cmd, printed := b.process(config, command...)
		require.NoError(t, cmd.Run(), printed)
	}
	whole := time.Since(begin) / 2
	taken := map[string]int{}
	for n := 0; n < kills; n++ {
		command := commands[n%2]
		cmd, printed := b.process(config, command...)
		require.NoError(t, cmd.Start())
		<-time.After(time.Duration(rand.Int64N(int64(whole)))) // any moment is as good as another
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		require.Equal(t, want, count(), "after the kill")

		cmd, again := b.process(config, command...)
		require.NoError(t, cmd.Run(), "killed having said:\n%s\nthen:\n%s", printed, again)
		require.Equal(t, want, count())
		for _, words := range []string{"going on with", "cleaning up", "nothing to do"} {
			taken[words] += strings.Count(again.String(), words)
		}
		status := b.run(t.Context(), "status", migrations.FS())
		require.NotContains(t, status.text, "being rebuilt")
	}
	t.Logf("the runs after %d kills found shards: %v", kills, taken)
}

func TestRebuildRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.mustUp(migrations.FS())
	b.fill(10)
	b.mustExec(2, "CREATE VIEW v AS SELECT id FROM users; CREATE TABLE friends (id uuid REFERENCES users); CREATE UNIQUE INDEX one_name ON users (name)")

	got := b.rebuilt(4, "2")
	require.ErrorContains(t, got.err, "shard-2: prepare: users cannot be rebuilt, because it has the foreign key friends_id_fkey of friends, and the view v, and the unique index one_name")
	require.Contains(t, got.text, "shard-2  plain")
	b.mustExec(2, "DROP VIEW v; DROP TABLE friends; DROP INDEX one_name")

	b.dry = true
	require.Contains(t, b.rebuilt(4, "").text, "shard-1: plain, would become 4 partitions: 10 users to copy")
	b.dry = false

	// Somebody tampers with the new table: nothing is switched, and the way back is open.
	stopped := &rebuild{partitions: 4, say: func(string, ...any) {}, pause: func(time.Duration) time.Duration { return 0 }}
	tool, err := newTool("test", b.cfg, b.set, migrations.FS(), console{})
	require.NoError(t, err)
	stopped.primary, err = tool.connect(t.Context(), b.cfg.Shards[2])
	require.NoError(t, err)
	require.NoError(t, stopped.prepare(t.Context()))
	require.NoError(t, stopped.copy(t.Context()))
	require.NoError(t, stopped.close(t.Context()))
	b.mustExec(2, "DELETE FROM "+b.set.Schema+rebuildSuffix+".users WHERE name = 'User 3'")

	got = b.run(t.Context(), "up", migrations.FS())
	require.ErrorContains(t, got.err, "shard-2: users is being rebuilt, and a migration would change the old table only")
	got = b.rebuilt(8, "2")
	require.ErrorContains(t, got.err, "a rebuild to 4 partitions is under way: finish it with that number, or give it up by asking for plain")
	got = b.rebuilt(4, "2")
	require.ErrorContains(t, got.err, "shard-2: verify: the new table is not like the old one: 10 users")
	require.Contains(t, got.text, "shard-2  plain, being rebuilt")
	require.Equal(t, "10", b.ask(2, "SELECT count(*) FROM users"))

	got = b.rebuilt(0, "2")
	require.NoError(t, got.err)
	require.Contains(t, got.text, "shard-2: giving up the rebuild to 4 partitions that was begun")
	got = b.rebuilt(4, "2")
	require.NoError(t, got.err)
	require.Contains(t, got.text, "shard-2: verified: 10 users")
}

// A lock that is not free: the switch does not make the traffic queue for long, and gets its turn.
func TestSwitchWaitsItsTurn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.mustUp(migrations.FS())
	b.fill(10)
	done := make(chan result)
	b.on(0, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "BEGIN; SELECT count(*) FROM users")
		require.NoError(t, err)
		go func() { done <- b.rebuilt(2, "0") }()
		b.waiting("LOCK TABLE users")
		b.mustExec(0, "UPDATE users SET name = name || '!'") // behind it, and done before the lock can be had
		_, err = conn.Exec(ctx, "COMMIT")
		return err
	})
	got := <-done
	require.NoError(t, got.err, got.text)
	require.Contains(t, got.text, "letting the traffic pass")
	require.Equal(t, "10", b.ask(0, "SELECT count(*) FROM users WHERE name LIKE '%!'"))
}
