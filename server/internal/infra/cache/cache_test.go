package cache

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/metrics"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// open returns a cache that runs until the test ends, and its log.
func open(t *testing.T, url string, bytes int64) (*Cache, *logged) {
	t.Helper()
	out := new(logged)
	c, err := New(url, bytes, time.Minute, slog.New(slog.NewTextHandler(out, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return c, out
}

type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// await waits for words in the log, and returns the whole.
func (l *logged) await(t *testing.T, words string) (text string) {
	t.Helper()
	testcluster.Await(t, func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if text = l.text.String(); !strings.Contains(text, words) {
			return fmt.Errorf("%q is not in the log: %s", words, text)
		}
		return nil
	})
	return text
}

func awaitText(t *testing.T, c *Cache, key, want string) {
	t.Helper()
	testcluster.Await(t, func() error {
		if got, look := c.Get(t.Context(), key); !look.Found() || got != want {
			return fmt.Errorf("%s: got %q, %s, want %q", key, got, look.Outcome, want)
		}
		return nil
	})
}

// asked is how many GETs Redis has answered.
func asked(t *testing.T, client rueidis.Client) (count int) {
	t.Helper()
	text, err := client.Do(t.Context(), client.B().Info().Section("commandstats").Build()).ToString()
	if err != nil {
		t.Fatal(err)
	}
	_, calls, _ := strings.Cut(text, "cmdstat_get:calls=")
	_, _ = fmt.Sscan(calls, &count) // none is 0
	return count
}

// TestCachesShareARedis has two processes' caches tell each other.
func TestCachesShareARedis(t *testing.T) {
	url := "redis://" + testcluster.Open(t).RedisAddr
	one, log := open(t, url, 1<<20)
	other, otherLog := open(t, url, 1<<20)
	log.await(t, "cache is used")
	otherLog.await(t, "cache is used")

	key := t.Name() + time.Now().String()
	testcluster.Await(t, func() error { // Redis may be late
		if got, look := one.Get(t.Context(), key); look != (metrics.CacheLook{Outcome: metrics.CacheMiss}) {
			return fmt.Errorf("got %q, %v, which nobody put", got, look)
		}
		return nil
	})
	one.Put(key, "first")
	awaitText(t, one, key, "first")
	awaitText(t, other, key, "first")

	before := asked(t, one.client)
	for range 1000 {
		if got, look := other.Get(t.Context(), key); look != (metrics.CacheLook{Outcome: metrics.CacheHit}) || got != "first" {
			t.Fatalf("got %q, %v, want it at hand", got, look)
		}
	}
	if n := asked(t, one.client) - before; n > 0 {
		t.Errorf("Redis was asked %d times for what is at hand", n)
	}
	one.Put(key, "second")
	awaitText(t, other, key, "second")

	// Redis may answer before any other asks: that is then known here, and nobody joins.
	testcluster.Await(t, func() error {
		return join(t, one, t.Name()+"fresh"+time.Now().String())
	})
}

// join has many ask at once for what nobody put.
func join(t *testing.T, c *Cache, key string) error {
	t.Helper()
	before := asked(t, c.client)
	var (
		wg             sync.WaitGroup
		missed, joined atomic.Int64
	)
	const all = 200
	for range all {
		wg.Go(func() {
			_, look := c.Get(t.Context(), key)
			switch look.Outcome {
			case metrics.CacheMiss:
				missed.Add(1)
			case metrics.CacheError: // Redis is late
			default:
				t.Errorf("got %s, want a miss", look.Outcome)
			}
			if look.Joined {
				joined.Add(1)
			}
		})
	}
	wg.Wait()
	if missed.Load() != all {
		return fmt.Errorf("%d of %d missed, Redis was late for the others", missed.Load(), all)
	}
	if n := asked(t, c.client) - before; n != 1 || joined.Load() == all {
		t.Fatalf("%d questions for the same at once were asked %d times, want 1; %d joined it", all, n, joined.Load())
	}
	if joined.Load() == 0 {
		return fmt.Errorf("none of %d joined the first", all)
	}
	return nil
}

// TestNobodyWaitsForLong has Redis fall silent under a load, and come back.
func TestNobodyWaitsForLong(t *testing.T) {
	proxy := testcluster.NewProxy(t, testcluster.Open(t).RedisAddr)
	c, log := open(t, "redis://"+proxy.Addr, 1<<20)
	log.await(t, "cache is used")
	proxy.Slow(time.Hour)

	const clients, each = 2000, 10
	began := time.Now()
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			for n := range each {
				if text, look := c.Get(t.Context(), fmt.Sprintf("%d-%d", i, n)); look.Outcome != metrics.CacheError {
					t.Errorf("got %q, %s, of a Redis that says nothing", text, look.Outcome)
				}
			}
		})
	}
	wg.Wait()
	// All of them wait once, and together: one after the other it would be half an hour.
	if took := time.Since(began); took > 20*patience {
		t.Errorf("%d questions to a silent Redis took %s, want about %s", clients*each, took, patience)
	}
	log.await(t, "cache is not used")
	proxy.Slow(0)
	testcluster.Await(t, func() error {
		c.Put("key", "text")
		if _, look := c.Get(t.Context(), "key"); !look.Found() {
			return fmt.Errorf("still not used")
		}
		return nil
	})
}

// TestAway has caches without a Redis, and with one that refuses them.
func TestAway(t *testing.T) {
	addr := testcluster.Open(t).RedisAddr
	for _, url := range []string{"redis://127.0.0.1:1", "redis://user:hunter2@" + addr} {
		c, log := open(t, url, 1<<20)
		if text := log.await(t, "cache is not used"); strings.Contains(text, "hunter2") {
			t.Errorf("the log has the password: %s", text)
		}
		c.Put("key", "text")
		if _, look := c.Get(t.Context(), "key"); look.Outcome != metrics.CacheError {
			t.Error("got a text out of nothing")
		}
	}
}

// TestMemoryIsBounded asks for five times as much as may be kept, and more.
func TestMemoryIsBounded(t *testing.T) {
	const limit, texts = 2 << 20, 10_000
	c, log := open(t, "redis://"+testcluster.Open(t).RedisAddr, limit)
	log.await(t, "cache is used")
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	text, before := strings.Repeat("x", 1000), heap()
	for from := 0; from < texts; from += 1000 {
		var sets rueidis.Commands
		for i := range 1000 {
			sets = append(sets, c.client.B().Set().Key(fmt.Sprint("m", from+i)).Value(text).Px(time.Minute).Build())
		}
		for _, result := range c.client.DoMulti(t.Context(), sets...) {
			if err := result.Error(); err != nil {
				t.Fatal(err)
			}
		}
	}
	got := 0
	for i := range texts {
		if _, look := c.Get(t.Context(), fmt.Sprint("m", i)); look.Found() {
			got++
		}
	}
	if got < texts*9/10 {
		t.Errorf("%d of %d texts are there: this shows nothing", got, texts)
	}
	if more := int64(heap()) - int64(before); more > 2*limit {
		t.Errorf("%d bytes are kept, want %d", more, limit)
	}
}
