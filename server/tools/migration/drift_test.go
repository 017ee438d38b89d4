package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRefusesShardsThatSomebodyMadeDifferent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.mustUp(pairs(makeA, makeB))
	b.mustExec(1, "CREATE INDEX a_by_hand ON a (n)")

	got := b.run(t.Context(), "up", pairs(makeA, makeB, makeC))
	require.ErrorContains(t, got.err, "shard-0 and shard-1 are both at 000002_step, but their schemas differ")
	require.ErrorContains(t, got.err, "only shard-1 has  index CREATE INDEX a_by_hand ON "+b.set.Schema+".a USING btree (n)")
	require.ErrorContains(t, got.err, "nothing was changed on any shard")
	b.wantVersions(b.onAll(2)...)

	// The same by hand on all of them makes no difference, and is the schema of this version from now on.
	for i := range b.cfg.Shards {
		b.mustExec(i, "CREATE INDEX IF NOT EXISTS a_by_hand ON a (n)")
	}
	b.mustUp(pairs(makeA, makeB))
	require.Equal(t, "true", b.ask(1, "SELECT schema::text LIKE '%a_by_hand%' FROM schema_migrations_log WHERE version = 2"))
	b.mustUp(pairs(makeA, makeB, makeC))
}

// A shard that stands elsewhere than the others is compared with what its own last migration made of it.
func TestRefusesWhatChangedSinceItsLastMigration(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.mustUp(pairs(makeA))
	first := *b
	first.cfg.Shards = b.cfg.Shards[:1]
	first.mustUp(pairs(makeA, makeB))
	b.mustExec(2, "ALTER TABLE a ALTER n SET NOT NULL")

	got := b.run(t.Context(), "up", pairs(makeA, makeB))
	require.ErrorContains(t, got.err, "shard-2: its schema is not what 000001_step made of it")
	require.ErrorContains(t, got.err, "only shard-2 now has  column a.n integer not null")
	require.ErrorContains(t, got.err, "only shard-2 after 000001_step has  column a.n integer\n")

	b.mustExec(2, "ALTER TABLE a ALTER n DROP NOT NULL")
	b.mustUp(pairs(makeA, makeB))
	b.wantVersions(b.onAll(2)...)
}

// Whatever a file does, the shards are compared afterwards.
func TestReportsShardsThatAFileMadeDifferent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	got := b.run(t.Context(), "up", pairs(`DO $$ BEGIN
		CREATE TABLE a (n int);
		IF current_database() LIKE '%_1' THEN CREATE TYPE only_here AS ENUM ('x', 'y'); END IF;
	END $$|`))
	require.ErrorContains(t, got.err, "the files were applied, but shard-0 and shard-1 are both at 000001_step")
	require.ErrorContains(t, got.err, "only shard-1 has  type only_here: x, y")
}

func TestDryRunChangesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.mustUp(pairs(makeA))
	b.dry = true
	got := b.run(t.Context(), "up", pairs(makeA, makeB, makeC))
	require.NoError(t, got.err)
	require.Contains(t, got.text, "shard-0: at 000001_step, would apply 000002_step.up.sql, 000003_step.up.sql")
	got = b.runAs(t.Context(), "down", pairs(makeA), console{})
	require.NoError(t, got.err)
	require.Contains(t, got.text, "shard-0: at 000001_step, would apply 000001_step.down.sql")
	b.wantVersions(b.onAll(1)...)
}

func TestShardsGivenByHand(t *testing.T) {
	t.Parallel()
	b := setup(t)
	some, err := newTool("up", b.cfg, b.set, pairs(makeA), console{out: &lines{w: t.Output()}, err: &lines{w: t.Output()}})
	require.NoError(t, err)
	require.ErrorContains(t, some.choose("0,9"), `there is no shard "9": want some of 0 to 4`)
	require.NoError(t, some.choose("shard-1, 3"))
	require.NoError(t, some.up(t.Context()))
	b.wantVersions(0, 1, 0, 1, 0)
}
