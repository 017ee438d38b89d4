package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// TestStopCutsNothing stops the API while updates wait for a locked row, which
// is let go only when the stop is well under way.
func TestStopCutsNothing(t *testing.T) {
	for _, sig := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		t.Run(sig.String(), func(t *testing.T) {
			cfg := testcluster.Open(t)
			s := start(t)
			u := must[user](t, s, "POST", "/api/v1/users/", createBody("Ada", "ada@example.com"), 201)
			lock := lockUser(t, cfg, u.ID)

			const inFlight = 4 // whichever worker gets them, none has to wait for a connection
			answers := make(chan error, inFlight)
			for i := range inFlight {
				go func() {
					status, body, err := s.send("PUT", "/api/v1/users/"+u.ID, fmt.Sprintf(`{"name":"Ada %d"}`, i))
					if err == nil && status != 200 {
						err = fmt.Errorf("got %d %s", status, body)
					}
					answers <- err
				}()
			}
			lock.awaitWaiting(t, inFlight)

			ended := make(chan int, 1)
			go func() { ended <- s.stop(t, sig) }()
			s.awaitCount(t, workers, func(l logLine) bool { return l.Msg == "draining" }) // the listeners close
			lock.release(t)
			for range inFlight {
				if err := <-answers; err != nil {
					t.Errorf("a request in flight was cut: %v", err)
				}
			}
			if code := <-ended; code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			if _, _, err := s.send("GET", "/livez", ""); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("after the stop: %v, want the connection refused", err)
			}
		})
	}
}

// TestStopDoesNotWaitForTheSilent stops the API while a client has connected and
// says nothing, as browsers do ahead of need.
func TestStopDoesNotWaitForTheSilent(t *testing.T) {
	testcluster.Open(t)
	s := start(t, "READ_TIMEOUT=60s", "DRAIN_TIMEOUT=20s")
	for range 2 * workers {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	// The kernel keeps a silent connection to itself (TCP_DEFER_ACCEPT) for a
	// second and more before the server gets to see it.
	<-time.After(3 * time.Second)
	began := time.Now()
	if code := s.stop(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the stop took %s", took)
	}
	if strings.Contains(s.errs.String(), "drain") {
		t.Errorf("stderr: %s", s.errs)
	}
}

// TestStopUnderLoad stops the API while clients write over connections that
// they keep. Each sees answers, then that nobody listens, and nothing between;
// what was answered is stored. Where the system does not let a worker refuse new
// connections (containers, ordinary users), the newest may be reset.
func TestStopUnderLoad(t *testing.T) {
	cfg := testcluster.Open(t)
	s := start(t)
	var created, sent, reset atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for {
				i := sent.Add(1)
				status, body, err := s.send("POST", "/api/v1/users/", createBody("n", fmt.Sprintf("u%d@example.com", i)))
				if errors.Is(err, syscall.ECONNREFUSED) {
					return
				}
				if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) {
					t.Logf("number %d: %v", reset.Add(1), err)
					continue
				}
				if err != nil || status != 201 {
					t.Errorf("got %d %s, %v; want 201", status, body, err)
					return
				}
				created.Add(1)
			}
		})
	}
	await(t, func() error {
		if n := created.Load(); n < 500 {
			return fmt.Errorf("%d users created", n)
		}
		return nil
	})
	if code := s.stop(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	wg.Wait()
	stored := 0
	for i := range cfg.Shards {
		stored += len(testcluster.MustQuery[string](t, testcluster.Primary(t, cfg, i), "SELECT email FROM users"))
	}
	if n := int64(stored); n < created.Load() || n > created.Load()+reset.Load() {
		t.Errorf("%d users are stored, %d were answered, %d connections reset", stored, created.Load(), reset.Load())
	}
	warned := len(s.matching(func(l logLine) bool { return l.Msg == "connections may be reset" })) > 0
	if n := reset.Load(); n > 0 && !warned || n > 16 {
		t.Errorf("%d connections were reset", n)
	}
}

// TestKilledWorkerIsReplaced kills every worker in turn. The others go on, and
// the server has as many as before.
func TestKilledWorkerIsReplaced(t *testing.T) {
	testcluster.Open(t)
	s := start(t)
	ready := func(l logLine) bool { return l.Msg == "worker ready" }
	for i := range workers {
		victim := s.matching(ready)[i].WorkerPID
		if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		s.client.CloseIdleConnections()
		s.awaitCount(t, workers+i+1, ready)
		for j := range 20 {
			must[user](t, s, "POST", "/api/v1/users/", createBody("n", fmt.Sprintf("u%d-%d@example.com", i, j)), 201)
			s.client.CloseIdleConnections() // each on a connection of its own, to any worker
		}
	}
}

// rowLock holds a user's row, so that updates of it wait.
type rowLock struct {
	cfg   config.Config
	shard config.Shard
	tx    pgx.Tx
}

func lockUser(t testing.TB, cfg config.Config, id string) *rowLock {
	t.Helper()
	ring, err := shard.NewRing(shardNames(cfg))
	if err != nil {
		t.Fatal(err)
	}
	for i, sh := range cfg.Shards {
		if sh.Name != ring.Owner(id) {
			continue
		}
		tx, err := testcluster.Primary(t, cfg, i).Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(t.Context(), "SELECT FROM users WHERE id = $1::text::uuid FOR UPDATE", id); err != nil {
			t.Fatal(err)
		}
		return &rowLock{cfg, sh, tx}
	}
	t.Fatalf("no shard owns %s", id)
	return nil
}

// awaitWaiting waits until so many of the API's sessions wait for a lock.
func (l *rowLock) awaitWaiting(t testing.TB, count int) {
	t.Helper()
	primary := asAPI(t, l.cfg, l.shard.Primary, l.shard.Database)
	await(t, func() error {
		waiting := testcluster.MustQuery[string](t, primary,
			"SELECT pid::text FROM pg_stat_activity WHERE usename = current_user AND wait_event_type = 'Lock'")
		if len(waiting) < count {
			return fmt.Errorf("%d of %d updates wait for the row", len(waiting), count)
		}
		return nil
	})
}

func (l *rowLock) release(t testing.TB) {
	t.Helper()
	if err := l.tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
}
