package shard

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	// maxLogins of one pool are made at a time, when it lost its connections.
	maxLogins = 4
	// shrinkInterval is how soon a pool that has shrunk grows slowly again.
	shrinkInterval = time.Second
)

// dialer makes a pool's connections.
type dialer struct {
	driver.Connector

	logins *logins
	slots  *semaphore.Weighted
}

// logins are those of a pool.
type logins struct {
	took atomic.Int64 // the last one, in nanoseconds
}

// times is in how long one may be made, if it shall take that share of the time.
func (l *logins) times(share float64) time.Duration {
	return max(minGrowth, time.Duration(float64(l.took.Load())/share))
}

// newPool returns a pool of at most maxOpen connections that connects to nothing yet.
func newPool(c driver.Connector, maxOpen, maxIdle int, t *turns, tasks *tasks) *sql.DB {
	pool := sql.OpenDB(&dialer{Connector: c, logins: t.logins, slots: semaphore.NewWeighted(maxLogins)})
	pool.SetMaxOpenConns(maxOpen)
	pool.SetMaxIdleConns(maxIdle)
	tasks.start(func(ctx context.Context) {
		tick := time.NewTicker(shrinkInterval)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				t.shrink(int64(pool.Stats().OpenConnections))
			case <-ctx.Done():
				return
			}
		}
	})
	return pool
}

// Connect implements driver.Connector.
func (d *dialer) Connect(ctx context.Context) (driver.Conn, error) {
	if err := d.slots.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer d.slots.Release(1)
	began := time.Now()
	conn, err := d.Connector.Connect(ctx)
	d.logins.took.Store(int64(time.Since(began)))
	return conn, err
}
