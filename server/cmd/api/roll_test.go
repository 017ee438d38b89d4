package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// TestRollLosesNothing replaces all workers under load, in the long form again and again: reads
// and creates, over connections that are kept and over new ones. The client
// never sends a request twice, as net/http's would.
func TestRollLosesNothing(t *testing.T) {
	testcluster.Open(t)
	s := start(t)
	u := must[user](t, s, "POST", "/api/v1/users/", createBody("Ada", "ada@example.com"), 201)
	want := int64(6_000)
	if os.Getenv("TEST_LONG") != "" {
		want = 50_000
	}

	client := &fasthttp.HostClient{
		Addr: strings.TrimPrefix(s.url, "http://"), MaxConns: 100, ReadTimeout: 20 * time.Second,
		MaxIdemponentCallAttempts: 1, RetryIfErr: func(*fasthttp.Request, int, error) (bool, bool) { return false, false },
	}
	defer client.CloseIdleConnections()
	var (
		asked   atomic.Int64
		clients sync.WaitGroup
	)
	done := make(chan struct{})
	ask := func(i int, create, keep bool) error {
		req, res := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
		defer fasthttp.ReleaseRequest(req)
		defer fasthttp.ReleaseResponse(res)
		wanted := 200
		if req.SetRequestURI(s.url + "/api/v1/users/" + u.ID); create {
			req.SetRequestURI(s.url + "/api/v1/users/")
			req.Header.SetMethod("POST")
			req.Header.SetContentType("application/json")
			req.SetBodyString(createBody("Ada", fmt.Sprintf("ada-%d-%d@example.com", i, asked.Load())))
			wanted = 201
		}
		if !keep {
			req.SetConnectionClose()
		}
		if err := client.Do(req, res); err != nil {
			return err
		}
		if res.StatusCode() != wanted {
			return fmt.Errorf("got %d %s, want %d", res.StatusCode(), res.Body(), wanted)
		}
		return nil
	}
	for i := range 16 {
		create, keep := i%2 == 0, i%4 < 2
		clients.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				if err := ask(i*1_000_000+n, create, keep); err != nil {
					t.Errorf("create %t, connection kept %t: %v", create, keep, err)
				}
				asked.Add(1)
			}
		})
	}
	rolls := 0
	for asked.Load() < want || rolls < 1 {
		s.roll(t)
		rolls++
		s.awaitCount(t, rolls, func(l logLine) bool { return l.Msg == "rolled" })
	}
	close(done)
	clients.Wait()
	t.Logf("%d requests, %d rolls of %d workers", asked.Load(), rolls, workers)
	if ready := s.matching(func(l logLine) bool { return l.Msg == "worker ready" }); len(ready) != workers*(rolls+1) {
		t.Errorf("%d workers became ready, want %d: %d anew for each roll", len(ready), workers*(rolls+1), workers)
	}
}

func (s *server) roll(t testing.TB) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// TestRollTakesSettings changes what stands in .env: what is wrong changes
// nothing, what workers can take over is rolled, the rest takes a new master.
func TestRollTakesSettings(t *testing.T) {
	testcluster.Open(t)
	s := start(t)
	env := func(text string) {
		if err := os.WriteFile(filepath.Join(s.cmd.Dir, ".env"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s.roll(t)
	}

	env("BODY_LIMIT=many\n")
	if line := s.awaitLine(t, func(l logLine) bool { return l.Msg == "not rolled" }); !strings.Contains(line.Err, "BODY_LIMIT") {
		t.Errorf("the reason is %q, want the setting named", line.Err)
	}

	env("BODY_LIMIT=2000\n")
	s.awaitLine(t, func(l logLine) bool { return l.Msg == "rolled" })
	must[any](t, s, "POST", "/api/v1/users/", createBody(strings.Repeat("a", 3000), "ada@example.com"), 413)

	env("BODY_LIMIT=2000\nREQUEST_TIMEOUT=4s\n")
	s.awaitLine(t, func(l logLine) bool { return l.Msg == "restarting" })
	again := s.awaitCount(t, 2, func(l logLine) bool { return l.Msg == "starting" })[1]
	if again.PID != s.cmd.Process.Pid {
		t.Errorf("the new master is process %d, want it in the place of %d", again.PID, s.cmd.Process.Pid)
	}
	s.url = "http://" + again.Addr
	s.awaitCount(t, 3*workers, func(l logLine) bool { return l.Msg == "worker ready" })
	must[any](t, s, "GET", "/livez", "", 200)
	if code := s.stop(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if _, _, err := s.send("GET", "/livez", ""); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("after the stop: %v, want the connection refused", err)
	}
}
