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
