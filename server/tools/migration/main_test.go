package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

func TestMain(m *testing.M) {
	if os.Getenv(mainVariable) != "" {
		main()
		os.Exit(0)
	}
	// The tests are parallel, each in a schema of its own.
	release, err := testcluster.TakeForPackage()
	if err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		release()
		os.Exit(code)
	}))
}

func TestCommandLine(t *testing.T) {
	t.Parallel()

	tests := []struct{ args, want string }{
		{"", "which command?"},
		{"upp", `unknown command "upp"`},
		{"up now", "up takes nothing after it"},
		{"make", "make takes one NAME"},
		{"make a b", "make takes one NAME"},
		{"-x up", "not defined: -x"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			t.Parallel()
			err := run(t.Context(), append([]string{"-config", wholeFile}, strings.Fields(tt.args)...), console{})
			var misused usageError
			require.ErrorAs(t, err, &misused)
			require.ErrorContains(t, err, tt.want)
		})
	}
	require.ErrorIs(t, run(t.Context(), []string{"help"}, console{}), flag.ErrHelp)
	require.ErrorContains(t, run(t.Context(), []string{"-config", "nowhere.yml", "up"}, console{}), "run from server/")
}

// make needs no database, nor any setting of one.
func TestMakeFromTheCommandLine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text, err := os.ReadFile(wholeFile)
	require.NoError(t, err)
	own := filepath.Join(dir, "migration.yml")
	require.NoError(t, os.WriteFile(own, text, 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "migrations"), 0o700))

	require.NoError(t, run(t.Context(), []string{"-config", own, "make", "add_messages_table"}, console{out: &lines{w: io.Discard}}))
	require.FileExists(t, filepath.Join(dir, "migrations", "000001_add_messages_table.up.sql"))
}

func TestFilesOfTheDirectoryOrOfTheProgram(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()

	_, origin, err := openFiles(dir)
	require.NoError(t, err)
	require.Equal(t, dir, origin)

	files, origin, err := openFiles(filepath.Join(dir, "nowhere"))
	require.NoError(t, err)
	require.Equal(t, "this program", origin)
	_, err = files.Open("000001_create_users.up.sql")
	require.NoError(t, err)

	_, _, err = openFiles(wholeFile)
	require.ErrorContains(t, err, "is not a directory")
}

func TestExplain(t *testing.T) {
	t.Parallel()
	sql := "CREATE TABLE ä (n int);\n\nCREATE TABEL c (n int)"
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"Nothing", nil, ""},
		{"Place", &pgconn.PgError{Message: "syntax error", Code: "42601", Position: 33}, "line 3: syntax error (SQLSTATE 42601)"},
		{"Hint", &pgconn.PgError{Message: "no", Detail: "More.", Hint: "Try.", Code: "42501"}, "no; More; Try; migrations run as DB_OWNER, which must own the schema and its tables (SQLSTATE 42501)"},
		{"Deadline", context.DeadlineExceeded, "no answer in time (see the timeouts in migration.yml): context deadline exceeded"},
		{"Interrupt", fmt.Errorf("x: %w", context.Canceled), "interrupted: x: context canceled"},
		{"Other", errors.New("EOF"), "EOF"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := explain(tt.err, sql)
			if tt.err == nil {
				require.NoError(t, got)
				return
			}
			require.EqualError(t, got, tt.want)
			require.ErrorIs(t, got, tt.err)
		})
	}
}
