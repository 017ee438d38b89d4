package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// TestOverload asks a shard's primary, slowed down and over one connection of each
// worker, for ten times what it can do. docs/RELIABILITY.md states what is asserted here.
func TestOverload(t *testing.T) {
	if os.Getenv("TEST_LONG") == "" {
		t.Skip("measures times, for which the machine must be idle: run `make test-long`")
	}
	const (
		each     = 25 * time.Millisecond // of an answer, so that the machine is not the limit
		length   = time.Minute
		recovery = 5 * time.Second
	)
	cfg := testcluster.Open(t)
	pooler := testcluster.NewProxy(t, cfg.Shards[0].Pooler)
	s := start(t, "SHARD_0_WRITE_ADDR="+pooler.Addr, "DB_WRITE_MAX_OPEN_CONNS="+strconv.Itoa(workers+1), "REQUEST_TIMEOUT=3s")
	ring, err := shard.NewRing(shardNames(cfg))
	if err != nil {
		t.Fatal(err)
	}
	var users []string // one user's changes would wait for each other's locks
	for range 100 {
		users = append(users, createOn(t, s, ring, "shard-0").ID)
	}
	pooler.Slow(each)

	type result struct {
		status int
		took   time.Duration
	}
	ask := func(method, path, body string) result {
		req, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return result{}
		}
		req.Header.Set("Content-Type", "application/json")
		began := time.Now()
		res, err := s.client.Do(req)
		if err != nil {
			return result{took: time.Since(began)}
		}
		_ = res.Body.Close()
		return result{res.StatusCode, time.Since(began)}
	}
	// A change is a statement by itself: reads and creates would go together, and
	// this machine could not ask for more of them than one connection carries.
	change := func() result {
		return ask(http.MethodPut, "/api/v1/users/"+users[rand.IntN(len(users))], fmt.Sprintf(`{"name": "n%d"}`, rand.Int()))
	}
	// flood asks so often, or as often as so many clients can, and returns what was answered.
	var mu sync.Mutex
	flood := func(length time.Duration, perSecond, clients int) (results []result) {
		var wg sync.WaitGroup
		one := func() {
			r := change()
			mu.Lock()
			defer mu.Unlock()
			results = append(results, r)
		}
		end := time.After(length)
		done := make(chan struct{})
		for range clients {
			wg.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
						one()
					}
				}
			})
		}
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for running := true; running; {
			select {
			case <-end:
				running = false
			case <-tick.C:
				for range perSecond / 100 {
					wg.Go(one)
				}
			}
		}
		close(done)
		wg.Wait()
		return results
	}
	of := func(results []result, status int) (times []time.Duration) {
		for _, r := range results {
			if r.status == status {
				times = append(times, r.took)
			}
		}
		slices.Sort(times)
		return times
	}

	flood(2*time.Second, 0, 4*workers) // until the pools are full
	peak := len(of(flood(4*time.Second, 0, 4*workers), 200)) / 4
	var health []result
	stop := make(chan struct{})
	var asking sync.WaitGroup
	asking.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
				health = append(health, ask(http.MethodGet, "/health", ""), ask(http.MethodGet, "/livez", ""))
			}
		}
	})
	results := flood(length, 10*peak, 0)
	close(stop)
	asking.Wait()
	answered, refused := of(results, 200), of(results, 503)
	goodput := len(answered) / int(length/time.Second)
	at := func(times []time.Duration, part float64) time.Duration {
		if len(times) == 0 {
			return 0
		}
		return times[int(part*float64(len(times)-1))]
	}
	t.Logf("peak %d/s; asked for %d/s: %d/s answered, p50 %s, p99 %s; %d refused, p50 %s, p90 %s, p99 %s; %d otherwise; health %d of %d, p99 %s",
		peak, len(results)/int(length/time.Second), goodput, at(answered, .5), at(answered, .99),
		len(refused), at(refused, .5), at(refused, .9), at(refused, .99), len(results)-len(answered)-len(refused), len(of(health, 200)), len(health), at(of(health, 200), .99))
	if goodput*100 < 80*peak {
		t.Errorf("%d a second are answered, want 80 %% of %d", goodput, peak)
	}
	if got := at(refused, .9); got > promisedFast {
		t.Errorf("90 %% are refused within %s, want %s", got, promisedFast)
	}
	if len(of(health, 200)) < len(health) {
		t.Errorf("/health and /livez answered %d of %d times: %v", len(of(health, 200)), len(health), health)
	}
	began := time.Now()
	await(t, func() error {
		for range 2 * workers {
			if r := change(); r.status != 200 {
				return http.ErrAbortHandler
			}
		}
		return nil
	})
	if took := time.Since(began); took > recovery {
		t.Errorf("in order after %s, want %s", took, recovery)
	}
}
