package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// mainVariable makes this test binary the tool itself, so that there is a process to kill.
const mainVariable = "MIGRATION_TEST_MAIN"

// process is a run of the tool as a process of its own, in the bench's schema.
func (b *bench) process(config string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	b.Helper()
	self, err := os.Executable()
	require.NoError(b, err)
	cmd := exec.CommandContext(context.WithoutCancel(b.Context()), self, append([]string{"-config", config}, args...)...)
	cmd.Env = append(os.Environ(), mainVariable+"=1", "GORACE=atexit_sleep_ms=0") // else each run under the race detector ends a second late
	var printed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &printed, &printed
	return cmd, &printed
}

// onDisk writes the tool's settings, with the bench's schema, and migrations written as in pairs.
func (b *bench) onDisk(steps ...string) (config string) {
	b.Helper()
	dir := b.TempDir()
	text, err := os.ReadFile(wholeFile)
	require.NoError(b, err)
	config = filepath.Join(dir, "migration.yml")
	require.NoError(b, os.WriteFile(config, bytes.ReplaceAll(text, []byte("schema: public"), []byte("schema: "+b.set.Schema)), 0o600))
	require.NoError(b, os.CopyFS(filepath.Join(dir, "migrations"), pairs(steps...)))
	return config
}

var hashes = regexp.MustCompile(`(?m)^shard-\d +\S+ +no +0 +([0-9a-f]{12})  no users$`)

// wantAlike checks that status shows every shard at the newest version with one schema, and returns its hash.
func (b *bench) wantAlike(config string) (hash string) {
	b.Helper()
	cmd, printed := b.process(config, "status")
	require.NoError(b, cmd.Run(), printed)
	found := hashes.FindAllStringSubmatch(printed.String(), -1)
	require.Len(b, found, len(b.cfg.Shards), printed)
	for _, f := range found {
		require.Equal(b, found[0][1], f[1], printed)
	}
	return found[0][1]
}

// The tool is killed at random moments. Each time the next run goes on by itself and ends at the same schema, with
// nothing done twice.
func TestKilledAtAnyMoment(t *testing.T) {
	kills := 8
	if os.Getenv("TEST_LONG") != "" {
		kills = 50
	}
	b := setup(t)
	config := b.onDisk(
		"CREATE TABLE a (n int PRIMARY KEY, v int NOT NULL); INSERT INTO a SELECT n, 0 FROM generate_series(1, 5000) n |",
		"ALTER TABLE a ADD m text; UPDATE a SET m = md5(n::text), v = v + 1 |",
		alone+"CREATE UNIQUE INDEX CONCURRENTLY a_m_idx ON a (m) |",
		"CREATE TABLE c (n int); INSERT INTO c SELECT n FROM a WHERE n % 2 = 0; CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1' |",
		alone+"CREATE INDEX CONCURRENTLY a_v_idx ON a (v, n) |",
	)
	up := func() string {
		cmd, printed := b.process(config, "up")
		require.NoError(t, cmd.Run(), printed)
		return printed.String()
	}
	begin := time.Now()
	up()
	whole := time.Since(begin)
	want := b.wantAlike(config)

	where := map[string]int{} // the versions at which a kill found the shards
	for killed := 0; killed < kills; {
		for i := range b.cfg.Shards {
			b.mustExec(i, "DROP SCHEMA "+b.set.Schema+" CASCADE; CREATE SCHEMA "+b.set.Schema)
		}
		cmd, printed := b.process(config, "up")
		require.NoError(t, cmd.Start())
		moment := time.Duration(rand.Int64N(int64(whole)))
		<-time.After(moment) // any moment is as good as another
		require.NoError(t, cmd.Process.Signal(syscall.SIGKILL))
		if err := cmd.Wait(); err == nil {
			continue // it was over before
		}
		killed++
		where[b.versions()]++

		again := up()
		require.Equal(t, want, b.wantAlike(config), "killed after %s, having said:\n%s\nthen:\n%s", moment, printed, again)
		for i := range b.cfg.Shards {
			require.Equal(t, "5000 2500", b.ask(i, "SELECT (SELECT sum(v) FROM a) || ' ' || (SELECT count(*) FROM c)"), "each file once on shard %d", i)
		}
	}
	t.Logf("a whole run took %s; %d kills found the shards at %v", whole, kills, where)
}

// versions is what the shards stand at, as text.
func (b *bench) versions() string {
	b.Helper()
	var list []string
	for i := range b.cfg.Shards {
		version := "0"
		if b.ask(i, "SELECT to_regclass('"+b.set.Table+"') IS NOT NULL") == "true" {
			version = b.ask(i, "SELECT coalesce(max(version), 0) FROM "+b.set.Table)
		}
		list = append(list, version)
	}
	slices.Sort(list)
	return strings.Join(list, "")
}

// Two operators, or two starting servers: one of them waits, and both end well.
func TestTwoProcessesAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	config := b.onDisk(makeA, makeB, makeC)
	var runs []*exec.Cmd
	var said []*bytes.Buffer
	for range 2 {
		cmd, printed := b.process(config, "up")
		require.NoError(t, cmd.Start())
		runs, said = append(runs, cmd), append(said, printed)
	}
	for i, cmd := range runs {
		require.NoError(t, cmd.Wait(), said[i])
	}
	all := said[0].String() + said[1].String()
	for i, shard := range b.cfg.Shards {
		require.Equal(t, 1, strings.Count(all, shard.Name+": none → 000003_step"), all)
		require.Equal(t, 1, strings.Count(all, shard.Name+": at 000003_step, nothing to do"), all)
		require.Equal(t, "1", b.ask(i, "SELECT count(*) FROM b"), "applied once on shard %d", i)
	}
}

// A file that is broken for one shard: the others are changed, the report says where each stands, the exit code is 1. Mended, it
// is resumed.
func TestBrokenFileOnOneShard(t *testing.T) {
	t.Parallel()
	b := setup(t)
	broken := func(sql string) string {
		return fmt.Sprintf("CREATE TABLE b (n int);\nDO $$ BEGIN\n  IF current_database() = '%s' THEN\n    %s;\n  END IF;\nEND $$ | DROP TABLE b", b.cfg.Shards[3].Database, sql)
	}
	config := b.onDisk(makeA, broken("EXECUTE 'CREATE TABEL c (n int)'"), makeC)
	cmd, printed := b.process(config, "up")
	require.Error(t, cmd.Run())
	require.Equal(t, 1, cmd.ProcessState.ExitCode())
	require.Contains(t, printed.String(), `migration: shard-3: 000002_step.up.sql: syntax error at or near "TABEL"`)
	require.Regexp(t, `\nshard-2  000003_step  no +0 .*\nshard-3  000001_step  no +2 .*\nshard-4  000003_step  no +0 `, printed.String())
	b.wantVersions(3, 3, 3, 1, 3)

	mended := filepath.Join(filepath.Dir(config), "migrations", "000002_step.up.sql")
	up, _, _ := strings.Cut(broken("NULL"), "|")
	require.NoError(t, os.WriteFile(mended, []byte(up), 0o600))
	cmd, printed = b.process(config, "up")
	require.NoError(t, cmd.Run(), printed)
	b.wantAlike(config)
}
