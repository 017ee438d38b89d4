package main

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
	"github.com/messenger-clone/messenger-clone-api/server/migrations"
)

// TestSchemaOlderThanNeeded: a server does not start on one, and workers that need more than the schema has do not take the place of
// those that serve.
func TestSchemaOlderThanNeeded(t *testing.T) {
	cfg := testcluster.Open(t)
	conn := testcluster.Primary(t, cfg, 2)
	newest := testcluster.MustQuery[int](t, conn, "SELECT version FROM schema_migrations")[0]
	stand := func(version int) {
		t.Helper()
		if _, err := conn.Exec(context.Background(), "UPDATE schema_migrations SET version = $1", version); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { stand(newest) })
	s := start(t)

	stand(migrations.Required - 1)
	refusal := fmt.Sprintf("schema: shard-2 is at version %d, and this server needs %d or newer: run `make migrate-up`", migrations.Required-1, migrations.Required)
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.awaitLine(t, func(l logLine) bool { return l.Msg == "not rolled" && strings.Contains(l.Err, refusal) })
	must[[]user](t, s, "GET", "/api/v1/users/", "", 200)

	second := command(t)
	if out, err := second.CombinedOutput(); err == nil || !strings.Contains(string(out), "api: "+refusal) {
		t.Errorf("got %v, %s; want %q", err, out, refusal)
	}

	stand(newest + 1000)
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.awaitLine(t, func(l logLine) bool { return l.Msg == "rolled" })
}
