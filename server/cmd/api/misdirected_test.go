package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// TestPoolerIsPointedElsewhere points shard 0's PgBouncer at shard 1's primary
// under the server's open connections, which notice nothing. Writes to shard 0
// must fail and nothing may be written on shard 1 instead.
func TestPoolerIsPointedElsewhere(t *testing.T) {
	cfg := testcluster.Open(t)
	s := start(t)
	ring, err := shard.NewRing(shardNames(cfg))
	if err != nil {
		t.Fatal(err)
	}
	createOn(t, s, ring, "shard-0") // the connections are open

	file := filepath.Join(os.Getenv("STATE_DIR"), "conf", "pgbouncer-0.ini")
	right, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	port := func(i int) []byte {
		_, port, err := net.SplitHostPort(cfg.Shards[i].Primary)
		if err != nil {
			t.Fatal(err)
		}
		return []byte("port=" + port + " ")
	}
	point := func(ini []byte) {
		t.Helper()
		if err := os.WriteFile(file, ini, 0o600); err != nil {
			t.Fatal(err)
		}
		said, err := exec.CommandContext(t.Context(), "supervisorctl", "-c", os.Getenv("TEST_SUPERVISOR"), "pid", "poolers:pgbouncer-0").Output()
		if err != nil {
			t.Fatal(err)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(said)))
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(pid, syscall.SIGHUP); err != nil { // reload
			t.Fatal(err)
		}
	}
	point(bytes.Replace(right, port(0), port(1), 1))
	t.Cleanup(func() {
		if t.Failed() {
			_ = os.WriteFile(file, right, 0o600)
		}
	})

	serial := 0
	create := func() (status int) {
		for {
			serial++
			email := fmt.Sprintf("misdirected-%d@example.com", serial)
			if ring.Owner(email) != "shard-0" {
				continue
			}
			status, _, err := s.send("POST", "/api/v1/users/", createBody("Nobody", email))
			if err != nil {
				t.Fatal(err)
			}
			return status
		}
	}
	before := testcluster.MustQuery[int64](t, testcluster.Primary(t, cfg, 1), "SELECT count(*) FROM users")[0]
	await(t, func() error { // PgBouncer reads its file in its own time
		if status := create(); status != 503 {
			return fmt.Errorf("a create for shard-0 answers %d", status)
		}
		return nil
	})
	for range 5 { // each waits until PgBouncer gives up
		if status := create(); status != 503 {
			t.Errorf("a create for shard-0 answers %d, want 503", status)
		}
	}
	if after := testcluster.MustQuery[int64](t, testcluster.Primary(t, cfg, 1), "SELECT count(*) FROM users")[0]; after != before {
		t.Errorf("shard-1 had %d users, now %d", before, after)
	}

	point(right)
	await(t, func() error {
		if status := create(); status != 201 {
			return fmt.Errorf("a create for shard-0 answers %d", status)
		}
		return nil
	})
}
