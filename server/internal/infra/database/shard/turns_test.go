package shard

import (
	"context"
	"database/sql/driver"
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

// TestPoolGrowsSlowly under a burst of requests, in the order in which they came. A
// server that has much to do is logged in to all the less.
func TestPoolGrowsSlowly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const requests, each, most = 2000, 10 * time.Millisecond, 60
		server := &slowServer{login: 5 * time.Millisecond}
		tasks := newTasks()
		var logins logins
		var q queue
		turns := newTurns(most, &logins, &q)
		pool := newPool(server, most, most, time.Second, turns, tasks)
		defer func() { tasks.stop(); _ = pool.Close() }()
		began := time.Now()
		var mu sync.Mutex
		var order []int
		var wg sync.WaitGroup
		for i := range requests {
			wg.Go(func() {
				if _, err := turns.take(t.Context()); err != nil {
					t.Error(err)
					return
				}
				defer turns.done()
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				conn, err := pool.Conn(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				<-time.After(each)
				q.answers.Add(1)
				_ = conn.Close()
			})
			synctest.Wait()
		}
		wg.Wait()
		for i := range order {
			if ahead := order[i] - i; ahead > most || ahead < -most { // as many begin at a time
				t.Fatalf("number %d had turn %d", order[i], i)
			}
		}
		took := time.Since(began)
		added := server.all.Load() - minTurns
		share := time.Duration(float64(server.login) / loginShare)
		if want := int64(took / share); added < want/2 || added > want+1 {
			t.Errorf("%d connections more in %s, want one in %s", added, took, share)
		}
		if server.most.Load() > maxLogins {
			t.Errorf("%d logins at once, want at most %d", server.most.Load(), maxLogins)
		}
	})
}

// TestPoolOfABusyServerGrowsSlowly: between its answers, which come all at once, it is not stuck.
func TestPoolOfABusyServerGrowsSlowly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const requests, each, most = 400, 100 * time.Millisecond, 60
		var logins logins
		var q queue
		q.took.Store(int64(each))
		turns := newTurns(most, &logins, &q)
		began := time.Now()
		var wg sync.WaitGroup
		for range requests {
			wg.Go(func() {
				if _, err := turns.take(t.Context()); err != nil {
					t.Error(err)
					return
				}
				defer turns.done()
				<-time.After(each)
				q.answers.Add(1)
			})
		}
		wg.Wait()
		added, want := turns.given.Load()-minTurns, int64(time.Since(began)/(stuckAfter*each))+1
		if added > want {
			t.Errorf("%d connections more in %s, want at most %d", added, time.Since(began), want)
		}
	})
}

// TestPoolGrowsForThoseWhoWait sooner, while all that have a connection keep it. One that
// has shrunk has to grow again.
func TestPoolGrowsForThoseWhoWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const most = 20
		server := &slowServer{login: time.Millisecond}
		tasks := newTasks()
		var logins logins
		var q queue
		turns := newTurns(most, &logins, &q)
		pool := newPool(server, most, most, time.Second, turns, tasks)
		defer func() { tasks.stop(); _ = pool.Close() }()
		ctx, cancel := context.WithCancel(t.Context())
		release := make(chan struct{})
		var have atomic.Int64
		var wg sync.WaitGroup
		for range 2 * most {
			wg.Go(func() {
				if _, err := turns.take(ctx); err != nil {
					return
				}
				defer turns.done()
				conn, err := pool.Conn(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				have.Add(1)
				<-release
				_ = conn.Close()
			})
		}
		<-time.After((most - minTurns) * minGrowth)
		synctest.Wait()
		if have.Load() != most || server.all.Load() != most {
			t.Errorf("%d have a connection, after %d logins, want all %d that there may be", have.Load(), server.all.Load(), most)
		}
		cancel() // who still waits
		close(release)
		wg.Wait()

		pool.SetMaxIdleConns(-1)
		<-time.After(2 * shrinkInterval)
		if got := turns.given.Load(); got != minTurns {
			t.Errorf("an empty pool has %d turns, want %d", got, minTurns)
		}
	})
}
