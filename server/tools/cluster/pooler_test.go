package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// thinkAndAsk is what each client does: it thinks for up to 40 s (in the short
// form 2), and then keeps a server busy for a tenth of a second. It is one
// statement, so that a client who is late, as on a busy machine, keeps no server.
const thinkAndAsk = `\set think random(0, :most)
\sleep :think ms
SELECT count(*), pg_sleep(0.1) FROM users;
`

// TestPoolerHoldsManyClients has pgbench, PostgreSQL's own client, hold 1,000
// connections to one PgBouncer, in the long form 10,000, which are all that it
// takes. Each does its transactions, over at most 300 connections to the server.
func TestPoolerHoldsManyClients(t *testing.T) {
	if err := exec.Command("pgbench", "--version").Run(); err != nil { // Debian has one that only says that there is none
		if os.Getenv("CI") != "" {
			t.Fatalf("pgbench --version: %v: CI must not pass over it", err)
		}
		t.Skipf("pgbench --version: %v", err)
	}
	total, think, transactions := 1_000, 2*time.Second, 2
	if os.Getenv("TEST_LONG") != "" {
		total, think = 10_000, 40*time.Second
	}
	cfg := testcluster.Open(t)
	console := connectConsole(t, cfg)
	primary := testcluster.Primary(t, cfg, 0)
	script := filepath.Join(t.TempDir(), "think-and-ask.sql")
	if err := os.WriteFile(script, []byte(thinkAndAsk), 0o600); err != nil {
		t.Fatal(err)
	}

	clients := total - 1 // the console has a connection, too
	var said []byte
	ended := make(chan error, 1)
	go func() {
		var err error
		said, err = pgbench(t, cfg, "--file", script, "--define", fmt.Sprintf("most=%d", think.Milliseconds()),
			"--client", strconv.Itoa(clients), "--transactions", strconv.Itoa(transactions), "--jobs", "10", "--no-vacuum").CombinedOutput()
		ended <- err
	}()
	var mostClients, mostServers, mostSessions int
	for running := true; running; {
		select {
		case err := <-ended:
			if running = false; err != nil {
				t.Errorf("pgbench: %v", err)
			}
		case <-time.After(50 * time.Millisecond):
		}
		lists := mustShowLists(t, console)
		sessions := testcluster.MustQuery[int](t, primary, "SELECT count(*) FROM pg_stat_activity WHERE usename = $1", cfg.DBUser)[0]
		if mostClients < 10_000 && lists["used_clients"] == 10_000 {
			if _, err := pgx.Connect(t.Context(), cfg.DatabaseURL(cfg.Shards[0].Pooler, cfg.DBUser, cfg.DBPassword).String()); err == nil {
				t.Error("PgBouncer took one client more than its settings say")
			}
		}
		mostClients, mostServers, mostSessions = max(mostClients, lists["used_clients"]), max(mostServers, lists["used_servers"]), max(mostSessions, sessions)
	}
	t.Logf("%d clients over %d connections to the server, which saw %d; pgbench says:\n%s", mostClients, mostServers, mostSessions, said)
	if mostClients != total {
		t.Errorf("PgBouncer held %d clients at once, want %d", mostClients, total)
	}
	if most := max(mostServers, mostSessions); most < 10 || most > 300 {
		t.Errorf("PgBouncer had %d connections to the server, which saw %d; want 10 (or the test shows nothing) to 300", mostServers, mostSessions)
	}
	for _, want := range []string{fmt.Sprintf("actually processed: %[1]d/%[1]d\n", clients*transactions), "failed transactions: 0 "} {
		if !strings.Contains(string(said), want) {
			t.Errorf("pgbench does not say %q", want)
		}
	}
}

// pgbench runs the program against shard 0's PgBouncer, as the API's role.
func pgbench(t *testing.T, cfg config.Config, args ...string) *exec.Cmd {
	t.Helper()
	url := cfg.DatabaseURL(cfg.Shards[0].Pooler, cfg.DBUser, cfg.DBPassword)
	password, _ := url.User.Password()
	cmd := exec.CommandContext(t.Context(), "pgbench", append(args, "--host", url.Hostname(), "--port", url.Port(), "--username", cfg.DBUser, cfg.Shards[0].Database)...)
	cmd.Env = append(os.Environ(), "PGPASSWORD="+password)
	return cmd
}

// connectConsole connects to the console of shard 0's PgBouncer.
func connectConsole(t *testing.T, cfg config.Config) *pgx.Conn {
	t.Helper()
	settings, err := pgx.ParseConfig(cfg.DatabaseURL(cfg.Shards[0].Pooler, cfg.DBUser, cfg.DBPassword).String())
	if err != nil {
		t.Fatal(err)
	}
	settings.Database = "pgbouncer"
	conn, err := pgx.ConnectConfig(t.Context(), settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

// mustShowLists asks PgBouncer's console how many it has of what.
func mustShowLists(t *testing.T, console *pgx.Conn) map[string]int {
	t.Helper()
	results, err := console.PgConn().Exec(t.Context(), "SHOW LISTS").ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	lists := make(map[string]int)
	for _, row := range results[0].Rows {
		n, err := strconv.Atoi(string(row[1]))
		if err != nil {
			t.Fatal(err)
		}
		lists[string(row[0])] = n
	}
	return lists
}
