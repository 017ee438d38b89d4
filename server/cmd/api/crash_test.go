package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// TestCrashes kills a worker and a primary with SIGKILL in the middle of creates
// and address changes. Afterwards everything that was acknowledged is there,
// every address is owned or free, and the shards agree.
func TestCrashes(t *testing.T) {
	operations := 800
	if os.Getenv("TEST_LONG") != "" {
		operations = 5000
	}
	cfg := testcluster.Open(t)
	s := start(t)

	var done atomic.Int64
	writers := make([]*writer, 16)
	var wg sync.WaitGroup
	for i := range writers {
		w := &writer{s: s, prefix: fmt.Sprintf("c%d-", i), users: map[string]*acknowledged{}, free: map[string]bool{}}
		writers[i] = w
		wg.Go(func() {
			for done.Add(1) <= int64(operations) {
				w.step()
			}
		})
	}
	reached := func(share int) func() error {
		return func() error {
			if n := done.Load(); n < int64(operations*share/10) {
				return fmt.Errorf("%d operations", n)
			}
			return nil
		}
	}
	await(t, reached(3))
	kill(t, s.awaitLine(t, func(l logLine) bool { return l.Msg == "worker ready" }).WorkerPID)
	await(t, reached(5))
	kill(t, postmaster(t, cfg.Shards[rand.IntN(len(cfg.Shards))].Name))
	wg.Wait()
	awaitHealth(t, s, "ok", "ok", 200)

	unknown := 0
	for _, w := range writers {
		unknown += w.check(t)
	}
	t.Logf("%d operations, %d of them without a known outcome", operations, unknown)
	verify := exec.CommandContext(t.Context(), "go", "run", "../../tools/verify")
	if said, err := verify.CombinedOutput(); err != nil {
		t.Errorf("verify: %v\n%s", err, said)
	}
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatalf("kill %d: %v", pid, err)
	}
}

// postmaster is the process of a database of the test cluster.
func postmaster(t *testing.T, name string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(os.Getenv("STATE_DIR"), "data", name, "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// acknowledged is what a writer was told of a user, and what it asked for since
// without learning what became of it.
type acknowledged struct {
	user
	perhaps []string // addresses of changes without a known outcome
}

// writer creates users and changes their addresses.
type writer struct {
	s       *server
	prefix  string
	serial  int
	users   map[string]*acknowledged
	ids     []string
	free    map[string]bool // addresses that were given up, or whose create has no known outcome
	unknown int
}

func (w *writer) step() {
	w.serial++
	email := fmt.Sprintf("%s%d@example.com", w.prefix, w.serial)
	if len(w.ids) == 0 || w.serial%2 == 0 {
		status, answer, err := w.s.send("POST", "/api/v1/users/", createBody("Ada", email))
		var u user
		if err != nil || status != 201 || json.Unmarshal(answer, &u) != nil {
			w.unknown++
			w.free[email] = true
			w.calm(err, status)
			return
		}
		w.users[u.ID] = &acknowledged{user: u}
		w.ids = append(w.ids, u.ID)
		return
	}
	u := w.users[w.ids[rand.IntN(len(w.ids))]]
	status, answer, err := w.s.send("PUT", "/api/v1/users/"+u.ID, fmt.Sprintf(`{"email":%q}`, email))
	var now user
	if err != nil || status != 200 || json.Unmarshal(answer, &now) != nil {
		w.unknown++
		u.perhaps = append(u.perhaps, email)
		w.calm(err, status)
		return
	}
	w.free[u.Email] = true
	for _, e := range u.perhaps {
		w.free[e] = true
	}
	*u = acknowledged{user: now}
}

// calm waits as a client does that was told to try again later.
func (w *writer) calm(err error, status int) {
	if err != nil || status == 503 {
		<-time.After(50 * time.Millisecond)
	}
}

// check compares what was acknowledged with what is there. It returns how many
// outcomes the writer was not told.
func (w *writer) check(t *testing.T) int {
	t.Helper()
	owned := map[string]bool{}
	for id, want := range w.users {
		got := must[user](t, w.s, "GET", "/api/v1/users/"+id, "", 200)
		right := got.Email == want.Email
		for _, e := range want.perhaps {
			right = right || got.Email == e
			w.free[e] = true
		}
		if !right || got.Name != want.Name || got.CreatedAt != want.CreatedAt {
			t.Errorf("acknowledged %+v (perhaps since %v), found %+v", want.user, want.perhaps, got)
		}
		w.free[want.Email] = true
		owned[got.Email] = true
	}
	for email := range w.free {
		status, answer, err := w.s.send("POST", "/api/v1/users/", createBody("Next", email))
		switch {
		case err != nil:
			t.Errorf("create with %s: %v", email, err)
		case status == 201 && !owned[email]:
		case status == 409:
			list := must[[]user](t, w.s, "GET", "/api/v1/users/?email="+email, "", 200)
			if len(list) != 1 || list[0].Email != email {
				t.Errorf("%s is taken, but nobody carries it: %+v", email, list)
			}
		default:
			t.Errorf("create with %s (owned: %v): %d %s", email, owned[email], status, answer)
		}
	}
	return w.unknown
}
