package shard

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// openCluster returns a Router over the test's cluster.
func openCluster(t testing.TB, cfg config.Config, limits Limits) *Router {
	t.Helper()
	r, err := NewRouter(nodesOf(t, cfg), limits)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func nodesOf(t testing.TB, cfg config.Config) (nodes []Node) {
	t.Helper()
	conn := func(addr string) *pgx.ConnConfig {
		c, err := pgx.ParseConfig(cfg.DatabaseURL(addr, cfg.DBUser, cfg.DBPassword).String())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, s := range cfg.Shards {
		nodes = append(nodes, Node{Name: s.Name, Primary: conn(s.Pooler), Replica: conn(s.Replica)})
	}
	return nodes
}

func mustHave(t testing.TB, what string, pool *gorm.DB, want int) {
	t.Helper()
	db, err := pool.DB()
	if err != nil {
		t.Fatal(err)
	}
	if got := db.Stats().OpenConnections; got != want {
		t.Errorf("%s: %d connections, want %d", what, got, want)
	}
}

// TestWarm connects to every server that is there, and waits for none that is not.
func TestWarm(t *testing.T) {
	cfg := testcluster.Open(t)
	away := testcluster.NewProxy(t, cfg.Shards[1].Pooler)
	away.Stop()
	cfg.Shards[1].Pooler = away.Addr
	r := openCluster(t, cfg, Limits{WriteOpen: 3, WriteIdle: 3, ReadOpen: 3, ReadIdle: 3, ReadTimeout: time.Second})
	r.Warm(t.Context())
	for i, s := range r.All() {
		want := warmConns
		if i == 1 {
			want = 0
		}
		mustHave(t, s.Name+"'s primary", s.Primary, want)
		mustHave(t, s.Name+"'s replica", s.Replica, warmConns)
	}
}

// TestPoolsKeepTheirLimits and use them to the full.
func TestPoolsKeepTheirLimits(t *testing.T) {
	cfg := testcluster.Open(t)
	s := openCluster(t, cfg, Limits{WriteOpen: 7, WriteIdle: 7, ReadOpen: 5, ReadIdle: 5, ReadTimeout: time.Second}).All()[0]
	for _, pool := range []struct {
		name string
		gate *gate
		db   *gorm.DB
		want int
	}{{"primary", s.primaryGate, s.Primary, 7}, {"replica", s.replicaGate, s.Replica, 5}} {
		var mu sync.Mutex
		have := 0
		release := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 3 * pool.want {
			wg.Go(func() {
				_ = pool.gate.through(ctx, pool.db, func(*gorm.DB) error {
					mu.Lock()
					have++
					mu.Unlock()
					<-release
					return nil
				})
			})
		}
		testcluster.Await(t, func() error {
			mu.Lock()
			defer mu.Unlock()
			if have < pool.want {
				return fmt.Errorf("%s: %d requests have a connection, want %d", pool.name, have, pool.want)
			}
			return nil
		})
		mustHave(t, pool.name, pool.db, pool.want)
		cancel() // who still waits is not answered
		close(release)
		wg.Wait()
	}
}
