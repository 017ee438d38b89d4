package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/apitest"
)

const testWorkers = 3

// api is a real server beside the test cluster; what it stands on is the cluster's.
type api struct {
	*apitest.Server
	worker atomic.Int64
	rolled chan struct{}
}

func startAPI(t *testing.T) *api {
	t.Helper()
	a := &api{rolled: make(chan struct{}, 1)}
	a.Server = apitest.Start(t, testWorkers, func(line apitest.Line) {
		switch line.Msg {
		case "worker ready":
			a.worker.Store(int64(line.WorkerPID))
		case "rolled":
			a.rolled <- struct{}{}
		}
	})
	return a
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
	if err := a.Cmd.Process.Signal(syscall.SIGHUP); err != nil {
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
	return &chaos{url: "http://" + a.Addr, ring: ring, victim: names[1], clients: 8, hold: 2 * time.Second, faults: faults, system: a, out: out}, out
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
