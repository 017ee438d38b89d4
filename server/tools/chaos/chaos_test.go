package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

const testWorkers = 3

// api is a real server beside the test cluster; what it stands on is the cluster's.
type api struct {
	cmd    *exec.Cmd
	url    string
	worker atomic.Int64
	rolled chan struct{}
}

func startAPI(t *testing.T) *api {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "api")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-race", "-o", binary, "../../cmd/api").CombinedOutput(); err != nil {
		t.Fatalf("build the API: %v\n%s", err, out)
	}
	a := &api{cmd: exec.Command(binary), rolled: make(chan struct{}, 1)}
	a.cmd.Dir = t.TempDir() // without a .env
	a.cmd.Env = append(os.Environ(), "HOST=127.0.0.1", "PORT=0", "ADMIN_ADDR=127.0.0.1:0", fmt.Sprintf("GOMAXPROCS=%d", testWorkers), "DB_CONNECT_TIMEOUT=4s")
	out, err := a.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan string, 1)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		a.read(bufio.NewScanner(out), ready)
	}()
	t.Cleanup(func() {
		_ = a.cmd.Process.Kill() // the workers see it and leave
		<-gone
		_ = a.cmd.Wait()
	})
	select {
	case a.url = <-ready:
	case <-gone:
		t.Fatal("the API ended at its start")
	}
	return a
}

// read follows the log.
func (a *api) read(lines *bufio.Scanner, ready chan<- string) {
	url, workers := "", 0
	for lines.Scan() {
		var line struct {
			Msg, Addr string
			WorkerPID int64 `json:"worker_pid"`
		}
		if json.Unmarshal(lines.Bytes(), &line) != nil {
			continue
		}
		switch line.Msg {
		case "starting":
			url = "http://" + line.Addr
		case "worker ready":
			a.worker.Store(line.WorkerPID)
			if workers++; workers == testWorkers {
				ready <- url
			}
		case "rolled":
			a.rolled <- struct{}{}
		}
	}
}

// Fault implements system.
func (a *api) Fault(ctx context.Context, deed, service string) error {
	if service == "worker" {
		return syscall.Kill(int(a.worker.Load()), map[string]syscall.Signal{"kill": syscall.SIGKILL, "freeze": syscall.SIGSTOP, "thaw": syscall.SIGCONT}[deed])
	}
	cmd := exec.CommandContext(ctx, "../.build/cluster", "fault", deed, service)
	cmd.Dir = "../.." // where make calls it
	return quietly(cmd)
}

// Command implements system.
func (a *api) Command(ctx context.Context, name string, _ ...string) error {
	if name == "verify" {
		return quietly(exec.CommandContext(ctx, "go", "run", "../verify"))
	}
	if err := a.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		return err
	}
	select {
	case <-a.rolled:
		return nil
	case <-time.After(time.Minute):
		return errors.New("the workers are not replaced")
	}
}

func newChaos(t *testing.T, cfg config.Config, only string) (*chaos, *bytes.Buffer) {
	t.Helper()
	var names []string
	for _, s := range cfg.Shards {
		names = append(names, s.Name)
	}
	ring, err := shard.NewRing(names)
	if err != nil {
		t.Fatal(err)
	}
	faults, err := pick(allFaults(cfg, 1), only)
	if err != nil {
		t.Fatal(err)
	}
	a, out := startAPI(t), new(bytes.Buffer)
	return &chaos{url: a.url, ring: ring, victim: names[1], clients: 8, hold: 2 * time.Second, faults: faults, system: a, out: out}, out
}

// TestPromisesAreKept is the short form of `make chaos`.
func TestPromisesAreKept(t *testing.T) {
	cfg := testcluster.Open(t)
	only := "kill worker,kill shard-1,freeze shard-1/replica,make restart"
	if os.Getenv("TEST_LONG") != "" {
		only = "worker,shard-1,pgbouncer-1,redis,make restart" // failovers have tests of their own
	}
	keeps(t, cfg, only)
}

// TestPromisesAreKeptWithCache has the API use the Redis that is killed.
func TestPromisesAreKeptWithCache(t *testing.T) {
	if os.Getenv("TEST_LONG") == "" {
		t.Skip("TEST_LONG=1 runs it")
	}
	cfg := testcluster.Open(t)
	t.Setenv("REDIS_URL", "redis://"+cfg.RedisAddr)
	keeps(t, cfg, "redis,worker,shard-1,make restart")
}

func keeps(t *testing.T, cfg config.Config, only string) {
	t.Helper()
	c, out := newChaos(t, cfg, only)
	if err := c.run(t.Context()); err != nil {
		t.Error(err)
	}
	t.Logf("\n%s", out)
	if rows := strings.Count(out.String(), " kept\n"); rows != len(c.faults) {
		t.Errorf("%d faults did what they may, want %d", rows, len(c.faults))
	}
}

// TestBrokenPromiseIsNoticed kills the pooler where nothing may be felt.
func TestBrokenPromiseIsNoticed(t *testing.T) {
	cfg := testcluster.Open(t)
	c, out := newChaos(t, cfg, "1")
	f := killing("pgbouncer-1", promise{})
	f.name = "nothing"
	c.faults = []fault{f}
	if err := c.run(t.Context()); !errors.Is(err, errBroken) {
		t.Errorf("got %v, want %v:\n%s", err, errBroken, out)
	}
}

func TestPick(t *testing.T) {
	t.Parallel()
	all := []fault{{name: "kill worker"}, {name: "freeze worker"}, {name: "make restart"}}
	for only, want := range map[string]string{"": "[kill worker freeze worker make restart]", "worker": "[kill worker freeze worker]", "3,kill": "[make restart kill worker]"} {
		got, err := pick(all, only)
		var names []string
		for _, f := range got {
			names = append(names, f.name)
		}
		if err != nil || fmt.Sprint(names) != want {
			t.Errorf("%q: got %v, %v; want %s", only, names, err, want)
		}
	}
	if _, err := pick(all, "typhoon"); err == nil || !strings.Contains(err.Error(), "2 freeze worker") {
		t.Errorf("an unknown fault: %v, want those that are known", err)
	}
}

// TestMeasure finds the longest time without an answer, by shard and kind.
func TestMeasure(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	at := func(ms int) time.Time { return begun.Add(time.Duration(ms) * time.Millisecond) }
	m := measure([]event{
		{ended: at(10), shards: []string{"a"}},
		{ended: at(20), shards: []string{"b"}, write: true},
		{ended: at(400), shards: []string{"a"}, outcome: refused},
		{ended: at(500), shards: []string{"a"}, outcome: cut},
		{ended: at(700), shards: []string{"a"}},
		{ended: at(710), shards: []string{"b"}, write: true},
	}, begun, at(800))
	want := figures{requests: 6, refused: 1, cut: 1, gap: 690 * time.Millisecond, gapOf: "a reads"}
	if m != want {
		t.Errorf("got %+v, want %+v", m, want)
	}
}
