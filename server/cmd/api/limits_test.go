package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// TestRateLimit counts what clients may do, over 7 workers, and when one of these
// has been killed: exactly the limit. Who is the client the server believes of us,
// as of a proxy.
func TestRateLimit(t *testing.T) {
	testcluster.Open(t)
	const quota, clients, connections, each = 150, 3, 8, 30
	s := start(t, withAdmin, "GOMAXPROCS=7", fmt.Sprintf("RATE_LIMIT=%d/24h", quota), "TRUSTED_PROXIES=127.0.0.1")
	s.awaitCount(t, 7, func(l logLine) bool { return l.Msg == "worker ready" })
	var in, refused [clients]atomic.Int64
	ask := func(client int) {
		req, err := http.NewRequest(http.MethodGet, s.url+"/problems/", nil)
		if err != nil {
			t.Error(err)
			return
		}
		req.Header.Set("X-Forwarded-For", fmt.Sprintf("203.0.113.9, 192.0.2.%d", client))
		req.Header.Set("Accept", "application/json")
		req.Close = true // on to any worker
		res, err := s.client.Do(req)
		if err != nil {
			t.Error(err)
			return
		}
		defer res.Body.Close()
		switch res.StatusCode {
		case http.StatusOK:
			in[client].Add(1)
		case http.StatusTooManyRequests:
			refused[client].Add(1)
			if policy := res.Header.Get("RateLimit-Policy"); policy != fmt.Sprintf(`"default";q=%d;w=86400`, quota) || res.Header.Get("Retry-After") == "" {
				t.Errorf("got %v", res.Header)
			}
		default:
			t.Errorf("got %d", res.StatusCode)
		}
	}
	var wg sync.WaitGroup
	for i := range clients * connections {
		wg.Go(func() {
			for range each {
				ask(i % clients)
			}
		})
	}
	wg.Wait()
	for i := range clients {
		if in[i].Load() != quota || refused[i].Load() != connections*each-quota {
			t.Errorf("client %d: %d of %d requests were let in, want %d", i, in[i].Load(), connections*each, quota)
		}
	}

	// No worker has the counts for itself.
	dead := s.matching(func(l logLine) bool { return l.Msg == "worker ready" })[0].WorkerPID
	if err := syscall.Kill(dead, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.awaitCount(t, 8, func(l logLine) bool { return l.Msg == "worker ready" })
	for range 20 {
		ask(0)
	}
	if in[0].Load() != quota {
		t.Errorf("after a worker's death %d requests were let in, want %d", in[0].Load(), quota)
	}
	admin := "http://" + s.awaitLine(t, func(l logLine) bool { return l.Msg == "admin port" }).Addr
	counted := scrape(t, admin)["messenger_rate_limit_requests_total"]
	for outcome, want := range map[string]*[clients]atomic.Int64{"allowed": &in, "refused": &refused} {
		all := want[0].Load() + want[1].Load() + want[2].Load()
		if got := sum(counted, "outcome", outcome); got != float64(all) {
			t.Errorf("%v requests counted as %s, want %d", got, outcome, all)
		}
	}
	status, body, err := s.send("GET", "/readyz", "")
	if err != nil || status != 200 || !strings.Contains(string(body), "ok") {
		t.Errorf("/readyz: got %d %s, %v", status, body, err)
	}
}
