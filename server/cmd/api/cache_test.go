package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/contract/contracttest"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// useCache is the setting that has a server use the cluster's Redis.
func useCache(cfg config.Config) string { return "REDIS_URL=redis://" + cfg.RedisAddr }

// redis is the cluster's, as its supervisor knows it.
const redis = "poolers:redis"

// TestCachedReadsAreFresh has clients write users and others read them, over
// every worker, while Redis is frozen from the start, comes back, is frozen again
// and killed. No read may show a state from before the last acknowledged write, or fail.
func TestCachedReadsAreFresh(t *testing.T) {
	cfg := testcluster.Open(t)
	freeze(t, redis)
	t.Cleanup(func() { thaw(t, redis) })
	s := start(t, useCache(cfg))
	early := must[user](t, s, "POST", "/api/v1/users/", createBody("Early", "early@example.com"), 201)
	must[user](t, s, "GET", path(early.ID), "", 200)
	s.awaitCount(t, workers, func(l logLine) bool { return l.Msg == "cache is not used" })
	thaw(t, redis)

	const users = 300
	all := make([]*lateUser, users)
	for i := range all {
		u := must[user](t, s, "POST", "/api/v1/users/", createBody("0", fmt.Sprintf("u%d@example.com", i)), 201)
		all[i] = &lateUser{id: u.ID, name: "0"}
	}
	await(t, func() error { // until it is filled
		if by := s.servedBy(t, path(all[0].id)); !strings.HasSuffix(by, "/cache") {
			return fmt.Errorf("served by %s", by)
		}
		return nil
	})

	rounds := 1
	if os.Getenv("TEST_LONG") != "" {
		rounds = 10
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var reads, cached, writes, slowest atomic.Int64
	var wg sync.WaitGroup
	wg.Go(func() { // few writes, so that many users are left alone long enough to be cached
		for tick := time.NewTicker(4 * time.Millisecond); ctx.Err() == nil; <-tick.C {
			u := all[rand.IntN(users)]
			u.mu.Lock()
			method, body, want := "PUT", fmt.Sprintf(`{"name":"%d"}`, rand.Int64()), 200
			switch {
			case u.deleted:
				u.mu.Unlock()
				continue
			case rand.IntN(50) == 0:
				method, body, want = "DELETE", "", 204
			}
			status, answer, err := s.send(method, path(u.id), body)
			var now user
			switch {
			case err != nil || status != want || method == "PUT" && json.Unmarshal(answer, &now) != nil:
				t.Errorf("%s: %d %s, %v", method, status, answer, err)
			default:
				u.name, u.deleted = now.Name, method == "DELETE"
			}
			writes.Add(1)
			u.mu.Unlock()
		}
	})
	for range 6 {
		wg.Go(func() {
			client := &http.Client{Transport: contracttest.Transport(t, &http.Transport{})}
			defer client.CloseIdleConnections()
			for n := 0; ctx.Err() == nil; n++ {
				if n%50 == 0 {
					client.CloseIdleConnections() // on to another worker
				}
				u := all[rand.IntN(users)]
				u.mu.RLock()
				began := time.Now()
				res, err := client.Get(s.url + path(u.id))
				if err != nil {
					t.Error(err)
					u.mu.RUnlock()
					continue
				}
				body, _ := io.ReadAll(res.Body)
				_ = res.Body.Close()
				took, by := time.Since(began), res.Header.Get("X-Served-By")
				var got user
				if reads.Add(1); strings.HasSuffix(by, "/cache") {
					cached.Add(1)
				}
				if u.deleted && res.StatusCode != http.StatusNotFound ||
					!u.deleted && (res.StatusCode != http.StatusOK || json.Unmarshal(body, &got) != nil || got.Name != u.name) {
					t.Errorf("%s: got %d %s, want %q, deleted %t", by, res.StatusCode, body, u.name, u.deleted)
				}
				u.mu.RUnlock()
				for old := slowest.Load(); int64(took) > old && !slowest.CompareAndSwap(old, int64(took)); old = slowest.Load() {
				}
			}
		})
	}

	// awaitCached waits until the cache has answered so many more.
	awaitCached := func(more int64) {
		from := cached.Load()
		await(t, func() error {
			if n := cached.Load() - from; n < more {
				return fmt.Errorf("%d reads were answered by the cache", n)
			}
			return nil
		})
	}
	// awaitReads waits until so many more were answered, by whomever.
	awaitReads := func(more int64) {
		from := reads.Load()
		await(t, func() error {
			if n := reads.Load() - from; n < more {
				return fmt.Errorf("%d reads were answered", n)
			}
			return nil
		})
	}
	for range rounds {
		awaitCached(1000)
		freeze(t, redis)
		awaitReads(1000) // what was at hand is no longer used once Redis is missed
		thaw(t, redis)
		awaitCached(1000)
		signalAll(t, redis, syscall.SIGKILL) // its supervisor starts it again, empty
		awaitReads(500)
		awaitCached(1000)
	}
	cancel()
	wg.Wait()
	t.Logf("%d reads (%d by the cache, the slowest in %s) beside %d writes", reads.Load(), cached.Load(), time.Duration(slowest.Load()), writes.Load())
}

// TestCacheIsCounted compares what the workers count of the cache with what clients see
// of it: every read by id is one look, and those that found something are those that
// say so.
func TestCacheIsCounted(t *testing.T) {
	cfg := testcluster.Open(t)
	s := start(t, withAdmin, useCache(cfg), "REQUEST_TIMEOUT=3s") // copies may be made so long after the start
	admin := "http://" + s.awaitLine(t, func(l logLine) bool { return l.Msg == "admin port" }).Addr
	t.Cleanup(func() { thaw(t, redis) })

	var ids []string
	for i := range 20 {
		ids = append(ids, must[user](t, s, "POST", "/api/v1/users/", createBody("Ada", fmt.Sprintf("a%d@example.com", i)), 201).ID)
	}
	var reads, cached, strong atomic.Int64
	read := func(id string, isStrong bool) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path(id), http.NoBody)
		if err != nil {
			t.Error(err)
			return
		}
		if isStrong {
			req.Header.Set("Consistency", "strong")
			strong.Add(1)
		}
		res, err := s.client.Do(req)
		if err != nil {
			t.Error(err)
			return
		}
		defer res.Body.Close()
		reads.Add(1)
		if strings.HasSuffix(res.Header.Get("X-Served-By"), "/cache") {
			cached.Add(1)
		}
	}
	compare := func() (looks func(outcome string) float64) {
		found := scrape(t, admin)["messenger_cache_lookups_total"]
		looks = func(outcome string) float64 { return sum(found, "outcome", outcome) }
		if got := sum(found); got != float64(reads.Load()) {
			t.Errorf("%v looks counted, %d reads sent", got, reads.Load())
		}
		if got := looks("hit") + looks("fetched"); got != float64(cached.Load()) {
			t.Errorf("%v looks found something, %d answers say so", got, cached.Load())
		}
		if got := looks("bypassed"); got < float64(strong.Load()) {
			t.Errorf("%v looks passed the cache by, want those of %d strong reads at least", got, strong.Load())
		}
		return looks
	}

	await(t, func() error { // until the last of them may be cached, and is
		if read(ids[len(ids)-1], false); cached.Load() == 0 {
			return fmt.Errorf("no answer is the cache's")
		}
		return nil
	})
	var clients sync.WaitGroup
	for c := range 8 {
		clients.Go(func() {
			for i := range 100 {
				read(ids[(c+i)%len(ids)], i%10 == 0)
			}
		})
	}
	clients.Wait()
	looks := compare()
	if looks("hit") == 0 || looks("fetched") == 0 || looks("miss") == 0 {
		t.Errorf("%v at hand, %v fetched, %v missed", looks("hit"), looks("fetched"), looks("miss"))
	}

	must[user](t, s, "PUT", path(ids[0]), `{"name":"Ada King"}`, 200)
	await(t, func() error { // the copy from before no longer counts
		read(ids[0], false)
		if looks := compare(); looks("stale") == 0 {
			return fmt.Errorf("no look found a stale copy")
		}
		return nil
	})
	failed := compare()("error") // Redis is late at times on a busy machine
	freeze(t, redis)
	await(t, func() error {
		read(uuid.NewString(), false)
		if looks := compare(); looks("error") == failed {
			return fmt.Errorf("no look failed")
		}
		return nil
	})
}
