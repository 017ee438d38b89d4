package shard

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxDials is how many connections of one pool may be in the making. A login
	// costs milliseconds of computing on both sides (SCRAM): when a burst meets an
	// empty pool and all dial at once, all are late, and some too late.
	maxDials = 4
	// refitInterval is how soon a pool that has shrunk grows slowly again.
	refitInterval = time.Second
)

// dialer makes a pool's connections, and lets the pool grow by maxDials at a
// time. What is beyond waits for whichever connection is free first, made or
// given back: database/sql has a request that begins to dial wait for just that.
type dialer struct {
	driver.Connector

	pool             *sql.DB
	maxOpen, maxIdle int
	load             *load
	tasks            *tasks // of the Router

	mu      sync.Mutex
	dialing int
}

// load is what goes on in a pool.
type load struct {
	asked  atomic.Int64 // how many have or want a connection
	logins atomic.Int64 // connections in the making
}

// newPool returns a pool of at most maxOpen connections that connects to nothing yet.
func newPool(c driver.Connector, maxOpen, maxIdle int, load *load, tasks *tasks) *sql.DB {
	d := &dialer{Connector: c, maxOpen: maxOpen, maxIdle: maxIdle, load: load, tasks: tasks}
	d.pool = sql.OpenDB(d)
	d.fit(0)
	tasks.start(func(ctx context.Context) {
		tick := time.NewTicker(refitInterval)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				d.fit(0)
			case <-ctx.Done():
				return
			}
		}
	})
	return d.pool
}

// Connect implements driver.Connector.
func (d *dialer) Connect(ctx context.Context) (driver.Conn, error) {
	d.load.logins.Add(1)
	defer d.load.logins.Add(-1)
	d.mu.Lock()
	d.dialing++
	d.mu.Unlock()
	conn, err := d.Connector.Connect(ctx)
	failed := 0
	if err != nil {
		failed = 1
	}
	d.mu.Lock()
	d.dialing--
	d.mu.Unlock()
	d.fit(failed)
	return conn, err
}

// fit lets the pool have maxDials more connections than are made. The pool still
// counts those that failed.
func (d *dialer) fit(failed int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	stats := d.pool.Stats()
	made := stats.OpenConnections - d.dialing - failed
	if most := min(d.maxOpen, made+maxDials); most != stats.MaxOpenConnections {
		d.pool.SetMaxOpenConns(most)
		d.pool.SetMaxIdleConns(min(d.maxIdle, most))
	}
	// Those who began to wait before do not see by themselves that there is room now.
	if open := stats.OpenConnections; failed == 0 && open < d.maxOpen && d.load.asked.Load() > int64(open) {
		d.tasks.start(d.grow)
	}
}

// grow adds a connection, if none is free, and gives it to whoever waits.
func (d *dialer) grow(ctx context.Context) {
	if conn, err := d.pool.Conn(ctx); err == nil {
		_ = conn.Close() // back to the pool
	}
}
