package main

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

const (
	faultDeadline = 3 * time.Second // REQUEST_TIMEOUT, so that the test need not wait for 5 s
	promisedFast  = 50 * time.Millisecond
	promisedBack  = 2 * time.Second
	// noticed is how long after a first failure all workers know that nobody
	// answers: each finds out by a request of its own.
	noticed = time.Second
)

// TestOneShardFails takes servers of shard 0 away, in each way that there is, under a
// load on all shards. docs/RELIABILITY.md states what is asserted here.
func TestOneShardFails(t *testing.T) {
	if os.Getenv("TEST_LONG") == "" {
		t.Skip("measures times, for which the machine must be idle: run `make test-long`")
	}
	cfg := testcluster.Open(t)
	pooler := testcluster.NewProxy(t, cfg.Shards[0].Pooler)
	replica := testcluster.NewProxy(t, cfg.Shards[0].Replica)
	s := start(t, "SHARD_0_WRITE_ADDR="+pooler.Addr, "SHARD_0_REPLICA_ADDR="+replica.Addr,
		"REQUEST_TIMEOUT="+faultDeadline.String(), "DB_READ_TIMEOUT=1s")
	ring, err := shard.NewRing(shardNames(cfg))
	if err != nil {
		t.Fatal(err)
	}
	read, written := map[string]user{}, map[string]user{}
	for _, name := range shardNames(cfg) {
		read[name], written[name] = createOn(t, s, ring, name), createOn(t, s, ring, name)
	}
	ofShard0 := "/api/v1/users/" + read["shard-0"].ID
	s.awaitServedBy(t, ofShard0, "shard-0/replica")
	load := startLoad(t, s, read, written)
	load.healed(t, "shard-0") // the first second of the processes is no measure
	before := load.phase(t, 2*time.Second).only(others)
	t.Logf("before: the other shards: %s", before)

	for _, fault := range []struct {
		name         string
		cause, mend  func()
		takesPrimary bool
		fails        time.Duration // how long the first requests take to fail
	}{
		{"replica dead", replica.Stop, func() { replica.Start(t) }, false, 0},
		{"replica hangs", func() { freeze(t, "replicas:shard-0-replica") }, func() { thaw(t, "replicas:shard-0-replica") }, false, faultDeadline},
		{"pooler dead", pooler.Stop, func() { pooler.Start(t) }, true, 0},
		{"pooler hangs", func() { freeze(t, "poolers:pgbouncer-0") }, func() { thaw(t, "poolers:pgbouncer-0") }, true, faultDeadline},
		{"primary hangs", func() { freeze(t, "primaries:shard-0") }, func() { thaw(t, "primaries:shard-0") }, true, faultDeadline},
		{"primary dead", func() { supervise(t, "stop", "primaries:shard-0") }, func() { supervise(t, "start", "primaries:shard-0") }, true, 0},
	} {
		t.Run(name(fault.name), func(t *testing.T) {
			fault.cause()
			mended := false
			defer func() {
				if !mended {
					fault.mend() // else the cluster stays so
				}
			}()
			during := load.phase(t, fault.fails+noticed+time.Second)
			fault.mend()
			mended = true
			back := load.healed(t, "shard-0")

			reads := during.only(func(o *outcome) bool { return !others(o) && !o.write })
			writes := during.only(func(o *outcome) bool { return !others(o) && o.write })
			t.Logf("the other shards: %s; reads of shard-0: %s; its writes: %s; in order after %s", during.only(others), reads, writes, back)
			staysAsItWas(t, during.only(others), before)
			noneFails(t, reads)
			if fault.takesPrimary {
				refusedAtOnce(t, writes, fault.fails+noticed, before)
			} else {
				noneFails(t, writes)
			}
			if back > promisedBack {
				t.Errorf("in order after %s, want %s", back, promisedBack)
			}
			s.awaitServedBy(t, ofShard0, "shard-0/replica")
		})
	}
}

func others(o *outcome) bool { return o.shard != "shard-0" }

func staysAsItWas(t *testing.T, list, before outcomes) {
	t.Helper()
	if fine := len(list.only((*outcome).fine)); 100*fine < 95*len(list) {
		t.Errorf("the other shards answered %d of %d requests, want 95 %%", fine, len(list))
	}
	// A floor, since a busy machine makes twice of little easily.
	if p99, most := list.took(.99), max(2*before.took(.99), 200*time.Millisecond); p99 > most {
		t.Errorf("the other shards' p99 is %s, want at most %s; before it was %s", p99, most, before.took(.99))
	}
}

func noneFails(t *testing.T, list outcomes) {
	t.Helper()
	for _, o := range list {
		if !o.fine() {
			t.Errorf("of %d requests one failed, after %s: %d %+v", len(list), o.took, o.status, o.problem)
			return
		}
	}
}

// refusedAtOnce wants problems that name the shard: the first by their deadline,
// and those that are sent from then on within promisedFast.
func refusedAtOnce(t *testing.T, list outcomes, then time.Duration, before outcomes) {
	t.Helper()
	for _, o := range list {
		if o.status != http.StatusServiceUnavailable || o.retryAfter == "" || !slices.Equal(o.problem.Shards, []string{"shard-0"}) || o.took > faultDeadline+noticed {
			t.Errorf("got %d after %s, Retry-After %q, %+v; want 503 naming shard-0 by %s", o.status, o.took, o.retryAfter, o.problem, faultDeadline)
			return
		}
	}
	late := list.only(func(o *outcome) bool { return o.sent.Sub(list[0].sent) > then })
	// On a busy machine nothing is as fast as promised; to refuse is then no slower than to answer.
	if most := max(promisedFast, before.took(.95)); len(late) < perSecond/2 || late.took(.95) > most {
		t.Errorf("%d writes came after the first had failed, and were refused in %s, want %s", len(late), late.took(.95), most)
	}
}

func name(words string) string { return strings.ReplaceAll(words, " ", "_") }

// supervise has the test cluster's supervisor do something with a process.
func supervise(t *testing.T, verb, process string) string {
	t.Helper()
	said, err := exec.CommandContext(context.WithoutCancel(t.Context()), "supervisorctl", "-c", os.Getenv("TEST_SUPERVISOR"), verb, process).Output()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", verb, process, err, said)
	}
	return strings.TrimSpace(string(said))
}

// freeze has a process and its children hang, as on a host whose disk does.
func freeze(t *testing.T, process string) { t.Helper(); signalAll(t, process, syscall.SIGSTOP) }

func thaw(t *testing.T, process string) { t.Helper(); signalAll(t, process, syscall.SIGCONT) }

func signalAll(t *testing.T, process string, sig syscall.Signal) {
	t.Helper()
	pid, err := strconv.Atoi(supervise(t, "pid", process))
	if err != nil || pid == 0 {
		t.Fatalf("%s has no process: %v", process, err)
	}
	kill := func(pid int) {
		if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Fatalf("signal %d: %v", pid, err)
		}
	}
	kill(pid) // the parent first: it then starts no more
	children, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "task", strconv.Itoa(pid), "children"))
	if err != nil && (sig != syscall.SIGKILL || !errors.Is(err, fs.ErrNotExist)) { // else it is gone by now
		t.Fatal(err)
	}
	for child := range strings.FieldsSeq(string(children)) {
		n, err := strconv.Atoi(child)
		if err != nil {
			t.Fatal(err)
		}
		kill(n)
	}
}
