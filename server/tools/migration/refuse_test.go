package main

import (
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRefusesReplica(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if b.cfg.Shards[0].Replica == "" {
		t.Skip("shard-0 has no replica")
	}
	b.cfg.Shards = slices.Clone(b.cfg.Shards)
	primary := b.cfg.Shards[0].Primary
	b.cfg.Shards[0].Primary = b.cfg.Shards[0].Replica
	got := b.run(t.Context(), "up", pairs(makeA))
	require.ErrorContains(t, got.err, "shard-0: "+b.cfg.Shards[0].Replica+" is a replica")
	b.cfg.Shards[0].Primary = primary
	b.wantVersions(b.onAll(0)...)
}

// One shard that cannot be reached is reason enough to change none.
func TestRefusesWhenAShardIsDown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, nobody.Close())

	down := *b
	down.cfg.Shards = slices.Clone(b.cfg.Shards)
	last := len(down.cfg.Shards) - 1
	down.cfg.Shards[last].Primary = nobody.Addr().String()
	got := down.run(t.Context(), "up", pairs(makeA))
	require.ErrorContains(t, got.err, down.cfg.Shards[last].Name+": cannot connect to "+nobody.Addr().String())
	b.wantVersions(b.onAll(0)...)

	got = down.run(t.Context(), "status", pairs(makeA))
	require.ErrorContains(t, got.err, "cannot connect")
	require.Contains(t, got.text, down.cfg.Shards[last].Name+"  unknown  ?      ?        ?             ?")
	require.Contains(t, got.text, "shard-0  none     no     1")
}

func TestRefusesWhatItCannotBuildOn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.mustUp(pairs(makeA, makeB))

	got := b.run(t.Context(), "up", pairs(makeA))
	require.ErrorContains(t, got.err, "shard-0: stands at version 2, and the newest of these files is 000001_step")

	b.mustExec(0, "UPDATE "+b.set.Table+" SET dirty = true")
	got = b.run(t.Context(), "up", pairs(makeA, makeB, makeC))
	require.ErrorContains(t, got.err, "shard-0: 000002_step is dirty")
	want := b.onAll(2)
	b.wantVersions(want...)
	require.Contains(t, b.run(t.Context(), "status", pairs(makeA, makeB, makeC)).text, "shard-0  000002_step  yes    1")
}

func TestDownAsksFirst(t *testing.T) {
	t.Parallel()
	b := setup(t)
	files := pairs(makeA, makeB)
	b.mustUp(files)

	got := b.runAs(t.Context(), "down", files, console{})
	require.ErrorContains(t, got.err, "no terminal to ask at: give YES=1")
	got = b.runAs(t.Context(), "down", files, console{interactive: true, in: strings.NewReader("no\n")})
	require.ErrorContains(t, got.err, "not confirmed")
	require.Contains(t, got.text, "takes 000002_step back and destroys the data it holds, on shard-0 ("+b.cfg.Shards[0].Primary+")")
	b.wantVersions(b.onAll(2)...)

	got = b.runAs(t.Context(), "down", files, console{interactive: true, in: strings.NewReader("yes\n")})
	require.NoError(t, got.err)
	b.wantVersions(b.onAll(1)...)
}

// A shard that is behind keeps what it has, and a down that failed on one shard is finished by the next.
func TestDownTakesBackTheNewestOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	files := pairs(makeA, makeB+"; ALTER TABLE a ADD CONSTRAINT small CHECK (n < 10)")
	b.mustUp(files)
	last := len(b.cfg.Shards) - 1
	b.mustExec(last, "INSERT INTO a VALUES (11)")

	got := b.run(t.Context(), "down", files)
	require.ErrorContains(t, got.err, b.cfg.Shards[last].Name+": 000002_step.down.sql: check constraint \"small\"")
	want := b.onAll(1)
	want[last] = 2
	b.wantVersions(want...)

	b.mustExec(last, "DELETE FROM a")
	require.NoError(t, b.run(t.Context(), "down", files).err)
	b.wantVersions(b.onAll(1)...)
}

func TestServerMayOnlyReadVersions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range b.cfg.Shards {
		b.mustExec(i, "ALTER DEFAULT PRIVILEGES IN SCHEMA "+b.set.Schema+" GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO "+b.cfg.DBUser)
	}
	b.mustUp(pairs(makeA))
	may := func(table, right string) string {
		return b.ask(0, "SELECT has_table_privilege('"+b.cfg.DBUser+"', '"+table+"', '"+right+"')")
	}
	require.Equal(t, "true", may("a", "INSERT"))
	require.Equal(t, "true", may(b.set.Table, "SELECT"))
	require.Equal(t, "false", may(b.set.Table, "UPDATE"))
}

// Session locks do not hold behind a pooler.
func TestRefusesPooler(t *testing.T) {
	t.Parallel()
	b := setup(t)
	wrong := *b
	wrong.cfg.Shards = slices.Clone(b.cfg.Shards)
	wrong.cfg.Shards[1].Primary = b.cfg.Shards[1].Pooler
	got := wrong.run(t.Context(), "up", pairs(makeA))
	require.ErrorContains(t, got.err, "shard-1: cannot connect to "+b.cfg.Shards[1].Pooler+": this looks like PgBouncer")
	require.ErrorContains(t, got.err, "correct SHARD_1_PRIMARY_ADDR")
	b.wantVersions(b.onAll(0)...)
}
