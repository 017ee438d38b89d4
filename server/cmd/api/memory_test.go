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

// TestMemoryStaysBelowItsLimit has clients on 512 connections ask for wide lists
// and create users as fast as they can; in the long form as many more as make
// 10,000 ask for a user now and then. The collector works for nothing but GOMEMLIMIT,
// so that the server would take ever more without it; all its processes together
// stay below.
func TestMemoryStaysBelowItsLimit(t *testing.T) {
	if _, err := os.Stat("/proc/self/smaps_rollup"); errors.Is(err, fs.ErrNotExist) {
		t.Skip("this system does not tell what memory processes share")
	}
	const busy = 512
	connections, limit, lists := busy, 300, int64(1_000)
	if os.Getenv("TEST_LONG") != "" {
		connections, limit, lists = 10_000, 1_000, 10_000
	}
	cfg := testcluster.Open(t)
	ring, err := shard.NewRing(shardNames(cfg))
	if err != nil {
		t.Fatal(err)
	}
	testcluster.Fill(t, cfg, ring.Owner, 5_000)
	cmd := command(t, withAdmin, "GOGC=off", fmt.Sprintf("GOMEMLIMIT=%dMiB", limit), "REQUEST_TIMEOUT=20s", "READ_TIMEOUT=2m", "WRITE_TIMEOUT=2m")
	cmd.Path = filepath.Join(t.TempDir(), "api") // the race detector keeps accounts of memory, in memory
	if out, err := exec.Command("go", "build", "-o", cmd.Path, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s := startProgram(t, cmd)
	processes := []int{s.cmd.Process.Pid, s.awaitLine(t, func(l logLine) bool { return l.Msg == "admin port" }).PID}
	for _, l := range s.matching(func(l logLine) bool { return l.Msg == "worker ready" }) {
		processes = append(processes, l.WorkerPID)
	}

	u := must[user](t, s, "POST", listPath, createBody("Ada", "ada@example.com"), 201)

	var clients sync.WaitGroup
	var held, read, listed, created, refused atomic.Int64
	stop := make(chan struct{})
	for i := range connections {
		clients.Go(func() {
			conn, err := s.dialRaw(t)
			if err != nil {
				t.Error(err)
				return
			}
			held.Add(1)
			for n := 0; ; n++ {
				request, want, done, pause := "GET "+path(u.ID)+" HTTP/1.1\r\nHost: api\r\n\r\n", http.StatusOK, &read, 20*time.Second
				switch {
				case i < busy && (i+n)%8 == 7:
					body := createBody(strings.Repeat("n", 100), fmt.Sprintf("n%d-%d@example.com", i, n))
					request = fmt.Sprintf("POST %s HTTP/1.1\r\nHost: api\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", listPath, len(body), body)
					want, done, pause = http.StatusCreated, &created, 0
				case i < busy:
					request = fmt.Sprintf("GET %s?limit=100&offset=%d HTTP/1.1\r\nHost: api\r\n\r\n", listPath, n%100)
					done, pause = &listed, 0
				}
				switch status, err := conn.ask(request); {
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
				select {
				case <-stop:
					return
				case <-time.After(pause):
				}
			}
		})
	}
	most := 0
	for !t.Failed() && (held.Load() < int64(connections) || listed.Load() < lists) {
		now := 0
		for _, pid := range processes {
			now += proportionalSet(t, pid)
		}
		most = max(most, now)
		<-time.After(20 * time.Millisecond)
	}
	close(stop)
	clients.Wait()
	t.Logf("at most %d MiB of %d, on %d connections: %d lists, %d creates, %d users, %d refused",
		most>>20, limit, connections, listed.Load(), created.Load(), read.Load(), refused.Load())
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
