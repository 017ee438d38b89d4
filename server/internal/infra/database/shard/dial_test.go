package shard

import (
	"context"
	"database/sql/driver"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// slowServer takes its time for each login, all the more when there are many at once.
type slowServer struct {
	login          time.Duration
	now, most, all atomic.Int64
}

type nothing struct{ driver.Conn }

func (nothing) Close() error { return nil }

// Connect implements driver.Connector.
func (s *slowServer) Connect(ctx context.Context) (driver.Conn, error) {
	s.all.Add(1)
	s.most.Store(max(s.most.Load(), s.now.Add(1)))
	defer s.now.Add(-1)
	select {
	case <-time.After(s.login * time.Duration(s.now.Load())):
		return nothing{}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Driver implements driver.Connector.
func (s *slowServer) Driver() driver.Driver { return nil }

// TestPoolGrowsSlowly under a burst, in which nobody waits for a login of their
// own while there is a connection that is free.
func TestPoolGrowsSlowly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const requests, each = 60, 10 * time.Millisecond
		server := &slowServer{login: time.Second}
		tasks := newTasks()
		var load load
		pool := newPool(server, requests, requests, &load, tasks)
		defer func() { tasks.stop(); _ = pool.Close() }()
		began := time.Now()
		var longest atomic.Int64
		var wg sync.WaitGroup
		for range requests {
			wg.Go(func() {
				load.asked.Add(1)
				defer load.asked.Add(-1)
				conn, err := pool.Conn(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				longest.Store(max(longest.Load(), int64(time.Since(began))))
				<-time.After(each)
				_ = conn.Close()
			})
		}
		wg.Wait()
		// Four logins at once take 4 s. From then on every connection serves.
		if took := time.Duration(longest.Load()); took > (maxDials+1)*server.login {
			t.Errorf("one waited for %s", took)
		}
		if server.most.Load() > maxDials {
			t.Errorf("%d logins at once, want at most %d", server.most.Load(), maxDials)
		}
	})
}

// TestPoolGrowsForThoseWhoWait while all that have a connection keep it.
func TestPoolGrowsForThoseWhoWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const most = 20
		server := &slowServer{login: time.Millisecond}
		tasks := newTasks()
		var load load
		pool := newPool(server, most, most, &load, tasks)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		release := make(chan struct{})
		var have, failed atomic.Int64
		var wg sync.WaitGroup
		for range most + 1 {
			wg.Go(func() {
				load.asked.Add(1)
				defer load.asked.Add(-1)
				conn, err := pool.Conn(ctx)
				if err != nil {
					failed.Add(1)
					return
				}
				have.Add(1)
				<-release
				_ = conn.Close()
			})
		}
		<-time.After(time.Second)
		synctest.Wait()
		if have.Load() != most {
			t.Errorf("%d have a connection, want all %d that there may be", have.Load(), most)
		}
		close(release)
		wg.Wait()
		if failed.Load() != 0 || server.all.Load() != most {
			t.Errorf("%d failed, %d logins", failed.Load(), server.all.Load())
		}

		// What has shrunk grows as slowly as before.
		pool.SetMaxIdleConns(-1)
		<-time.After(2 * refitInterval)
		synctest.Wait()
		if got := pool.Stats().MaxOpenConnections; got != maxDials {
			t.Errorf("an empty pool may make %d connections at once, want %d", got, maxDials)
		}
		tasks.stop()
		if err := pool.Close(); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}
