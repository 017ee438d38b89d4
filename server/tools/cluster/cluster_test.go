package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// TestCluster runs a cluster of one shard through its faults. Its parts build on
// each other, in this order.
func TestCluster(t *testing.T) {
	c := startTestCluster(t, 1)
	primary, replica := c.primaries()[0], c.replicas()[0]

	t.Run("Prometheus is one of its processes, once it was asked for", func(t *testing.T) { testMonitoring(t, c) })

	t.Run("up twice is harmless", func(t *testing.T) {
		before := mustRunning(t, c)
		mustUp(t, c)
		for name, p := range mustRunning(t, c) {
			if p.pid != before[name].pid {
				t.Errorf("%s was restarted: process %d became %d", name, before[name].pid, p.pid)
			}
		}
	})

	t.Run("ps and stats show it", func(t *testing.T) { testShow(t, c) })

	t.Run("PgBouncer has the shared settings", func(t *testing.T) {
		got := mustShowConfig(t, c)
		for name, want := range map[string]string{
			"pool_mode": "transaction", "max_client_conn": "10000", "default_pool_size": "200", "max_db_connections": "300", "reserve_pool_size": "50",
			"auth_type": "scram-sha-256", "query_wait_timeout": "3", "server_login_retry": "0.5", "ignore_startup_parameters": "", "unix_socket_dir": "",
		} {
			if got[name] != want {
				t.Errorf("%s is %q, want %q", name, got[name], want)
			}
		}
	})

	t.Run("what is written reaches the replica", func(t *testing.T) {
		mustExec(t, c, primary, `CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)`)
		awaitCount(t, c, replica, 1)
	})

	t.Run("a killed process comes back", func(t *testing.T) {
		for _, name := range []string{primary.name, replica.name, poolerName(0), redisName} {
			pid := mustRunning(t, c)[name].pid
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			eventually(t, name+" runs again", func() error {
				if p := mustRunning(t, c)[name]; p.pid == 0 || p.pid == pid {
					return fmt.Errorf("process is %d, was %d", p.pid, pid)
				}
				return nil
			})
		}
		mustUp(t, c) // everything is ready again
	})

	t.Run("another server is not taken for ours", func(t *testing.T) {
		mistaken := primary
		mistaken.addr = replica.addr // a PostgreSQL with our password, but another data folder
		_, _, err := c.identify(t.Context(), mistaken)
		var final finalError
		if !errors.As(err, &final) || !strings.Contains(err.Error(), replica.addr) {
			t.Errorf("got %v, want a refusal that names the address", err)
		}
	})

	t.Run("an interrupted clone is begun anew", func(t *testing.T) {
		mustStop(t, c, replica)
		partial := c.dataDir(replica) + ".partial"
		if err := os.Rename(c.dataDir(replica), partial); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(partial, "global", "pg_control")); err != nil {
			t.Fatal(err)
		}
		mustUp(t, c)
		awaitCount(t, c, replica, 1)
	})

	t.Run("a replica without standby.signal never takes writes", func(t *testing.T) {
		mustStop(t, c, replica)
		if err := os.Remove(filepath.Join(c.dataDir(replica), "standby.signal")); err != nil {
			t.Fatal(err)
		}
		mustUp(t, c)
		if recovering, streaming, err := c.identify(t.Context(), replica); err != nil || !recovering || !streaming {
			t.Errorf("recovering %v, streaming %v, err %v", recovering, streaming, err)
		}
	})

	t.Run("a lost slot is noticed and the replica cloned while the primary runs", func(t *testing.T) {
		mustStop(t, c, replica)
		mustExec(t, c, primary, `ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'`)
		mustExec(t, c, primary, `SELECT pg_reload_conf()`)
		eventually(t, "the slot is lost", func() error {
			mustExec(t, c, primary, `INSERT INTO kept SELECT 1 WHERE false; SELECT pg_switch_wal() FROM pg_logical_emit_message(false, 'test', repeat('x', 100000))`)
			mustExec(t, c, primary, `CHECKPOINT`)
			why, err := c.needsClone(t.Context(), replica)
			if err == nil && why == "" {
				err = errors.New("it is kept still")
			}
			return err
		})
		mustExec(t, c, primary, `ALTER SYSTEM RESET max_slot_wal_keep_size`)
		pid := mustRunning(t, c)[primary.name].pid
		mustUp(t, c)
		awaitCount(t, c, replica, 1)
		if got := mustRunning(t, c)[primary.name].pid; got != pid {
			t.Errorf("the primary was restarted: process %d became %d", pid, got)
		}
	})

	t.Run("processes whose supervisord was killed are stopped", func(t *testing.T) {
		strays, err := c.strays(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		found := make(map[int]bool)
		for _, p := range strays {
			found[int(p.Pid)] = true
		}
		for name, p := range mustRunning(t, c) {
			if !found[p.pid] {
				t.Errorf("%s (process %d) would not be recognised as ours", name, p.pid)
			}
		}
	})

	t.Run("a port that is taken is named with its holder", func(t *testing.T) {
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
		err = checkPort(t.Context(), "shard-7", taken.Addr().String())
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("(process %d)", os.Getpid())) || !strings.Contains(err.Error(), taken.Addr().String()) {
			t.Errorf("got %v, want the address and this process", err)
		}
	})

	t.Run("tune-postgres.sh", func(t *testing.T) { testTuning(t, c) })

	t.Run("a lost data folder is not quietly made anew", func(t *testing.T) {
		lost := *c
		lost.dir = t.TempDir()
		if err := os.WriteFile(lost.path("shards"), []byte("1\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := lost.initPrimaries(t.Context()); err == nil || !strings.Contains(err.Error(), "lost") {
			t.Errorf("got %v, want a refusal", err)
		}
	})
}

// startTestCluster starts a cluster that ends with the test.
func startTestCluster(t *testing.T, shards int) *cluster {
	t.Helper()
	testcluster.Need(t)
	// Not t.TempDir: the databases' account could not enter it.
	dir, err := os.MkdirTemp("", testPrefix) //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "SHARD_") {
			t.Setenv(name, "") // restores it afterwards
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	settings, err := testSettings(dir, shards)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range settings {
		t.Setenv(name, value)
	}
	cfg, err := config.LoadEnv()
	if err != nil {
		t.Fatal(err)
	}
	account, err := serviceAccount()
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{cfg: cfg, env: toMap(cfg.Environ()), root: root, dir: dir, account: account, out: newSteps(t.Output()), hold: true}
	c.keeper = supervised{c}
	lock, err := os.Create(c.path(aliveFile))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lock.Close() })
	if err := flock(lock); err != nil {
		t.Fatal(err)
	}
	if err := c.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.down(context.Background()); err != nil {
			t.Error(err)
		}
	})
	mustUp(t, c)
	return c
}

func mustUp(t *testing.T, c *cluster) {
	t.Helper()
	if err := c.startData(t.Context(), false); err != nil {
		t.Fatal(err)
	}
}

func mustRunning(t *testing.T, c *cluster) map[string]process {
	t.Helper()
	running, err := c.running(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return running
}

// mustShowConfig asks PgBouncer's console, as the server's start-up check does.
func mustShowConfig(t *testing.T, c *cluster) map[string]string {
	t.Helper()
	conn, err := c.connectAs(t.Context(), c.cfg.Shards[0].Pooler, "pgbouncer", c.cfg.DBUser, string(c.cfg.DBPassword))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	results, err := conn.PgConn().Exec(t.Context(), "SHOW CONFIG").ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	settings := make(map[string]string)
	for _, row := range results[0].Rows {
		settings[string(row[0])] = string(row[1])
	}
	return settings
}

func mustStop(t *testing.T, c *cluster, i instance) {
	t.Helper()
	if said, err := c.supervisorctl(t.Context(), "stop", i.program()); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
}

func mustExec(t *testing.T, c *cluster, i instance, sql string) {
	t.Helper()
	conn, err := c.connect(t.Context(), i.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func awaitCount(t *testing.T, c *cluster, i instance, want int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s has %d rows", i.name, want), func() error {
		conn, err := c.connect(t.Context(), i.addr)
		if err != nil {
			return err
		}
		defer conn.Close(context.WithoutCancel(t.Context()))
		var got int
		if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM kept`).Scan(&got); err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("got %d rows, want %d", got, want)
		}
		return nil
	})
}

// eventually repeats check until it passes, for at most 30 seconds.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		err := check()
		if err == nil {
			return
		}
		if pause(ctx) != nil {
			t.Fatalf("waited for: %s: %v", what, err)
		}
	}
}
