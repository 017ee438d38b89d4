package shard

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/freshness"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/metrics"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/requestlog"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// attic is a Cache that loses nothing, however old it is.
type attic struct{ texts sync.Map }

// Get implements Cache.
func (a *attic) Get(_ context.Context, key string) (string, metrics.CacheLook) {
	text, ok := a.texts.Load(key)
	if !ok {
		return "", metrics.CacheLook{Outcome: metrics.CacheMiss}
	}
	return text.(string), metrics.CacheLook{Outcome: metrics.CacheFetched} //nolint:errcheck // nothing else is stored
}

// Put implements Cache.
func (a *attic) Put(key, text string) { a.texts.Store(key, text) }

// TestCopyByAPausedReader has a reader pause between what it read and the copy
// that it makes of that, until a write that came meanwhile is on the replica.
// Then another program's copy of another record, and what is no copy, stand there.
func TestCopyByAPausedReader(t *testing.T) {
	cfg := testcluster.Open(t)
	table, err := freshness.CreatePrivate(len(cfg.Shards), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = table.Close() })
	kept := new(attic)
	r := openCluster(t, cfg, Limits{
		WriteOpen: 3, WriteIdle: 3, ReadOpen: 3, ReadIdle: 3, ReadTimeout: 30 * time.Second, RequestTimeout: 30 * time.Second, MaxLag: time.Hour,
		Table: table, Cache: kept, CacheMaxAge: time.Hour,
	})
	var sampled []freshness.Shard
	for _, n := range nodesOf(t, cfg) {
		sampled = append(sampled, freshness.Shard{Name: n.Name, Primary: n.Primary, Replica: n.Replica})
	}
	sampling, stop := context.WithCancel(t.Context())
	var sampler sync.WaitGroup
	sampler.Go(func() { freshness.NewSampler(table, sampled, slog.New(slog.DiscardHandler)).Run(sampling) })
	t.Cleanup(func() { stop(); sampler.Wait() })

	s, key := r.All()[0], uuid.NewString()
	var stored atomic.Int64 // the record; reads find it, writes raise it
	read, goOn := make(chan struct{}, 1), make(chan struct{}, 1)
	one := func(db *gorm.DB, _ string) (int64, error) {
		found := stored.Load()
		read <- struct{}{}
		<-goOn
		return found, db.Exec("SELECT 1").Error
	}
	lookups := NewLookups(s, one, func(*gorm.DB, []string) (map[string]int64, error) { return nil, fmt.Errorf("not alone") }).Copied("test-1")
	get := func() (found int64, by string) {
		ctx, event := requestlog.With(t.Context())
		found, err := lookups.Get(ctx, key, key)
		if err != nil {
			t.Error(err)
		}
		return found, event.ServedBy()
	}
	free := func() (int64, string) { // without a pause
		goOn <- struct{}{}
		defer func() {
			select { // the cache answered
			case <-goOn:
			case <-read:
			}
		}()
		return get()
	}
	awaitProof := func() {
		testcluster.Await(t, func() error {
			if _, ok := table.Current(0, key); !ok {
				return fmt.Errorf("the last write is not proven")
			}
			return nil
		})
	}

	awaitProof()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if found, _ := get(); found != 0 {
			t.Errorf("the paused reader found %d, want what it had read", found)
		}
	}()
	<-read
	err = s.Write(t.Context(), []string{key}, func(db *gorm.DB, _ time.Time) error {
		stored.Store(1)
		return db.Exec("SELECT 1").Error
	})
	if err != nil {
		t.Fatal(err)
	}
	awaitProof()
	goOn <- struct{}{}
	<-done
	if found, by := free(); found != 1 || by != "shard-0/replica" {
		t.Errorf("got %d by %s, want what was written, by the replica", found, by)
	}
	if found, by := free(); found != 1 || by != "shard-0/cache" {
		t.Errorf("got %d by %s, want what was written, by the cache", found, by)
	}

	for name, text := range map[string]string{
		"no copy":               "{",
		"a copy of nothing":     "{}",
		"another record's copy": "",
	} {
		kept.texts.Range(func(at, was any) bool {
			if text == "" {
				other := &copies[int64]{s, "test-1"}
				state, _ := table.Current(0, "other")
				other.put("other", state, 7)
				text, _ = kept.Get(t.Context(), other.name("other", state))
			}
			kept.texts.Store(at, text)
			return true
		})
		if found, by := free(); found != 1 || by != "shard-0/replica" {
			t.Errorf("%s in the cache: got %d by %s, want 1 by the replica", name, found, by)
		}
	}
}
