package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// TestMemoryStaysBelowItsLimit has clients on 512 connections, in the long form
// on 10,000, ask for wide lists and create users as fast as they can. The
// collector works for nothing but GOMEMLIMIT, so that the server would take ever
// more without it; all its processes together stay below.
func TestMemoryStaysBelowItsLimit(t *testing.T) {
	if _, err := os.Stat("/proc/self/smaps_rollup"); errors.Is(err, fs.ErrNotExist) {
		t.Skip("this system does not tell what memory processes share")
	}
	connections, limit, lists := 512, 350, int64(2_000)
	if os.Getenv("TEST_LONG") != "" {
		connections, limit, lists = 10_000, 1_000, 30_000
	}
	cfg := testcluster.Open(t)
	ring, err := shard.NewRing(shardNames(cfg))
	if err != nil {
		t.Fatal(err)
	}
	testcluster.Fill(t, cfg, ring.Owner, 5_000)
	cmd := command(t, "GOGC=off", fmt.Sprintf("GOMEMLIMIT=%dMiB", limit), "REQUEST_TIMEOUT=20s", "READ_TIMEOUT=2m", "WRITE_TIMEOUT=2m")
	cmd.Path = filepath.Join(t.TempDir(), "api") // the race detector keeps accounts of memory, in memory
	if out, err := exec.Command("go", "build", "-o", cmd.Path, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s := startProgram(t, cmd)
	processes := []int{s.cmd.Process.Pid}
	for _, l := range s.matching(func(l logLine) bool { return l.Msg == "worker ready" }) {
		processes = append(processes, l.WorkerPID)
	}

	var clients sync.WaitGroup
	var held, listed, created, refused atomic.Int64
	enough := func() bool { return listed.Load() >= lists && held.Load() == int64(connections) || t.Failed() }
	for i := range connections {
		clients.Go(func() {
			conn, err := s.dialRaw(t)
			if err != nil {
				t.Error(err)
				return
			}
			held.Add(1)
			for n := 0; !enough(); n++ {
				want, done := http.StatusOK, &listed
				request := fmt.Sprintf("GET %s?limit=100&offset=%d HTTP/1.1\r\nHost: api\r\n\r\n", listPath, n%100)
				if (i+n)%8 == 7 {
					want, done = http.StatusCreated, &created
					body := createBody(strings.Repeat("n", 100), fmt.Sprintf("n%d-%d@example.com", i, n))
					request = fmt.Sprintf("POST %s HTTP/1.1\r\nHost: api\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", listPath, len(body), body)
				}
				if err := conn.send(request); err != nil {
					t.Errorf("connection %d: %v", i, err)
					return
				}
				switch status, err := conn.status(); {
				case err != nil:
					t.Errorf("connection %d: %v", i, err)
					return
				case status == want:
					done.Add(1)
				case status == http.StatusServiceUnavailable: // more than the machine can do
					refused.Add(1)
				default:
					t.Errorf("connection %d: got %d, want %d", i, status, want)
					return
				}
			}
		})
	}
	most := 0
	for loaded := true; loaded; {
		loaded = !enough()
		now := 0
		for _, pid := range processes {
			now += proportionalSet(t, pid)
		}
		most = max(most, now)
		<-time.After(20 * time.Millisecond)
	}
	clients.Wait()
	t.Logf("at most %d MiB of %d, on %d connections: %d lists, %d creates, %d refused", most>>20, limit, connections, listed.Load(), created.Load(), refused.Load())
	if most > limit<<20 {
		t.Errorf("the server took %d MiB, want at most %d", most>>20, limit)
	}
	if most < limit<<20/2 || listed.Load() == 0 || created.Load() == 0 {
		t.Error("the server was hardly loaded: this shows nothing")
	}
}

// proportionalSet is the memory of a process in bytes, of what it shares with
// others its part.
func proportionalSet(t *testing.T, pid int) (size int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, kilobytes, _ := strings.Cut(string(text), "\nPss:")
	if _, err := fmt.Sscan(kilobytes, &size); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return size << 10
}
