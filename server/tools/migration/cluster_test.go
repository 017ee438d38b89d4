package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// bench is a schema of the test's own on every shard of the test cluster, and runs of the tool in it.
type bench struct {
	testing.TB
	cfg config.Config
	set settings
	dry bool
}

func setup(t testing.TB) *bench {
	t.Helper()
	testcluster.Need(t)
	cfg, err := config.LoadEnv("DB_OWNER_PASSWORD")
	require.NoError(t, err)

	set, err := loadSettings("../../migration.yml")
	require.NoError(t, err)
	set.Schema = "migration_test_" + strings.ToLower(rand.Text())
	b := &bench{TB: t, cfg: cfg, set: set}
	for i := range cfg.Shards {
		b.mustExec(i, "CREATE SCHEMA "+set.Schema)
		t.Cleanup(func() {
			b.mustExec(i, fmt.Sprintf("DROP SCHEMA IF EXISTS %[1]s, %[1]s_rebuild, %[1]s_replaced CASCADE", set.Schema))
		})
	}
	return b
}

// pairs makes files of migrations written as "up | down".
func pairs(steps ...string) fs.FS {
	files := fstest.MapFS{}
	for i, step := range steps {
		up, down, _ := strings.Cut(step, "|")
		files[fmt.Sprintf("%06d_step.up.sql", i+1)] = &fstest.MapFile{Data: []byte(strings.TrimSpace(up))}
		files[fmt.Sprintf("%06d_step.down.sql", i+1)] = &fstest.MapFile{Data: []byte(strings.TrimSpace(down))}
	}
	return files
}

// result is what one run printed, both streams together, and how it ended.
type result struct {
	text string
	err  error
}

// run runs a command as YES=1 would.
func (b *bench) run(ctx context.Context, command string, files fs.FS) result {
	b.Helper()
	return b.runAs(ctx, command, files, console{yes: true})
}

func (b *bench) runAs(ctx context.Context, command string, files fs.FS, con console) result {
	b.Helper()
	var printed bytes.Buffer
	con.out = &lines{w: &printed}
	con.err = con.out
	t, err := newTool(command, b.cfg, b.set, files, con)
	require.NoError(b, err)
	t.dry = b.dry
	action := map[string]func(context.Context) error{"up": t.up, "latest": t.up, "down": t.down, "status": t.status}[command]
	err = action(ctx)
	return result{printed.String(), err}
}

func (b *bench) mustUp(files fs.FS) {
	b.Helper()
	got := b.run(context.Background(), "up", files)
	require.NoError(b, got.err, got.text)
}

// wantVersions checks what each shard stands at: its number, and 0 for nothing.
func (b *bench) wantVersions(want ...int) {
	b.Helper()
	var got []int
	for i := range b.cfg.Shards {
		var version int
		if b.ask(i, "SELECT to_regclass('"+b.set.Table+"') IS NOT NULL") == "true" {
			_, err := fmt.Sscan(b.ask(i, "SELECT coalesce(max(version), 0) FROM "+b.set.Table), &version)
			require.NoError(b, err)
		}
		got = append(got, version)
	}
	require.Equal(b, want, got, "versions")
}

// onAll is a version for each shard, all the same.
func (b *bench) onAll(version int) []int {
	list := make([]int, len(b.cfg.Shards))
	for i := range list {
		list[i] = version
	}
	return list
}

// ask returns the one value that a query on shard i's primary gives, as text.
func (b *bench) ask(i int, sql string) string {
	b.Helper()
	var answer any
	b.on(i, func(ctx context.Context, conn *pgx.Conn) error { return conn.QueryRow(ctx, sql).Scan(&answer) })
	return fmt.Sprint(answer)
}

func (b *bench) mustExec(i int, sql string) {
	b.Helper()
	b.on(i, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, sql)
		return err
	})
}

// on gives do a short connection to shard i's primary, as the owner.
func (b *bench) on(i int, do func(context.Context, *pgx.Conn) error) {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	options, err := pgx.ParseConfig(b.cfg.DatabaseURL(b.cfg.Shards[i].Primary, b.cfg.DBOwner, b.cfg.DBOwnerPassword).String())
	require.NoError(b, err)
	options.RuntimeParams["search_path"] = b.set.Schema
	conn, err := pgx.ConnectConfig(ctx, options)
	require.NoError(b, err)
	defer func() { require.NoError(b, conn.Close(context.WithoutCancel(ctx))) }()
	require.NoError(b, do(ctx, conn))
}
