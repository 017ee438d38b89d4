package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/messenger-clone/messenger-clone-api/server/migrations"
)

func TestMakeWritesTheNextPair(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var out bytes.Buffer

	require.NoError(t, makePair(dir, "create_users", &lines{w: &out}))
	require.NoError(t, makePair(dir, "add_messages_table2", &lines{w: &out}))
	require.Equal(t, strings.Join([]string{
		filepath.Join(dir, "000001_create_users.up.sql"),
		filepath.Join(dir, "000001_create_users.down.sql"),
		filepath.Join(dir, "000002_add_messages_table2.up.sql"),
		filepath.Join(dir, "000002_add_messages_table2.down.sql"), "",
	}, "\n"), out.String())
	list, err := migrations.List(os.DirFS(dir))
	require.NoError(t, err)
	require.Len(t, list, 2)

	require.ErrorContains(t, makePair(dir, "create_users", &lines{w: &out}), "000001_create_users has that name already")
}

func TestMakeRefusesBadNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{
		"", " ", "Add", "add-table", "add table", "_add", "add_", "add__table", "1add", "../add", "add.up", "größer", "a;drop", strings.Repeat("a", 61),
	} {
		require.ErrorContains(t, makePair(dir, name, &lines{}), "is not a name for a migration", "name %q", name)
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
}

func TestMakeLeavesNoHalfAPair(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	down := filepath.Join(dir, "000001_add.down.sql")
	require.NoError(t, os.Symlink("nowhere", down)) // in the way, yet not listed as a file of its own pair

	require.Error(t, makePair(dir, "add", &lines{}))
	require.NoFileExists(t, filepath.Join(dir, "000001_add.up.sql"))
}
