package shard

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxLogins of one pool are made at a time, when it lost its connections.
	maxLogins = 4
	// shrinkInterval is how soon a pool that has shrunk grows slowly again.
	shrinkInterval = time.Second
	// spareTime is for how long a connection waits for somebody to ask for one.
	spareTime = 10 * time.Second
)

var errClosing = errors.New("the server's connections are being closed")

// dialer makes a pool's connections. A login that was begun is brought to its end,
// even if who asked for it has left: the next who asks has it. It is milliseconds
// of computing on both sides (SCRAM). On a machine that has too much to do
// logins come late, and if all were given up for that, none would be made.
type dialer struct {
	driver.Connector

	logins   *logins
	patience time.Duration // of one
	tasks    *tasks

	mu     sync.Mutex
	making int          // logins, at most maxLogins
	asking []chan login // those who wait for one, in their order
	spare  []spare      // of those who have left
}

// A login is a connection, or why there is none.
type login struct {
	conn driver.Conn
	err  error
}

type spare struct {
	conn  driver.Conn
	since time.Time
}

// logins are those of a pool.
type logins struct {
	took atomic.Int64 // the last one, in nanoseconds
}

// times is in how long one may be made, if it shall take that share of the time.
func (l *logins) times(share float64) time.Duration {
	return max(minGrowth, time.Duration(float64(l.took.Load())/share))
}

// newPool returns a pool of at most maxOpen connections that connects to nothing
// yet, and gives each login the patience.
func newPool(c driver.Connector, maxOpen, maxIdle int, patience time.Duration, t *turns, tasks *tasks) *sql.DB {
	d := &dialer{Connector: c, logins: t.logins, patience: patience, tasks: tasks}
	pool := sql.OpenDB(d)
	pool.SetMaxOpenConns(maxOpen)
	pool.SetMaxIdleConns(maxIdle)
	tasks.start(func(ctx context.Context) {
		tick := time.NewTicker(shrinkInterval)
		defer tick.Stop()
		for {
			select {
			case now := <-tick.C:
				_ = d.giveUp(now.Add(-spareTime)) // what is wrong with it no longer matters
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
	if conn := d.left(ctx); conn != nil {
		return conn, nil
	}
	made := make(chan login, 1)
	d.mu.Lock()
	d.asking = append(d.asking, made)
	d.begin()
	d.mu.Unlock()
	select {
	case l := <-made:
		return l.conn, l.err
	case <-ctx.Done():
		d.leave(made)
		return nil, ctx.Err()
	}
}

// left returns a connection that was made for somebody who has left, nil if there is none.
func (d *dialer) left(ctx context.Context) driver.Conn {
	for {
		d.mu.Lock()
		if len(d.spare) == 0 {
			d.mu.Unlock()
			return nil
		}
		conn := d.spare[0].conn
		d.spare = slices.Delete(d.spare, 0, 1)
		d.mu.Unlock()
		if r, ok := conn.(driver.SessionResetter); !ok || r.ResetSession(ctx) == nil {
			return conn
		}
		_ = conn.Close() // it has ended
	}
}

// begin has as many logins made as are asked for, if they are not too many. The
// caller holds mu.
func (d *dialer) begin() {
	for d.making < min(len(d.asking), maxLogins) {
		if !d.tasks.start(d.login) {
			d.deliver(login{err: errClosing})
			continue
		}
		d.making++
	}
}

func (d *dialer) login(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, d.patience)
	defer cancel()
	began := time.Now()
	conn, err := d.Connector.Connect(ctx)
	d.logins.took.Store(int64(time.Since(began)))
	d.mu.Lock()
	defer d.mu.Unlock()
	d.making--
	d.deliver(login{conn, err})
	d.begin()
}

// deliver gives a login to who has waited longest, or keeps it. The caller holds mu.
func (d *dialer) deliver(l login) {
	switch {
	case len(d.asking) > 0:
		d.asking[0] <- l
		d.asking = slices.Delete(d.asking, 0, 1)
	case l.err == nil:
		d.spare = append(d.spare, spare{l.conn, time.Now()})
	}
}

// leave is for who stops waiting.
func (d *dialer) leave(made chan login) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if at := slices.Index(d.asking, made); at >= 0 {
		d.asking = slices.Delete(d.asking, at, at+1)
		return
	}
	d.deliver(<-made) // it just came
}

// giveUp closes the spare connections from before that time.
func (d *dialer) giveUp(until time.Time) error {
	d.mu.Lock()
	old := 0
	for old < len(d.spare) && !d.spare[old].since.After(until) {
		old++
	}
	given := slices.Clone(d.spare[:old])
	d.spare = slices.Delete(d.spare, 0, old)
	d.mu.Unlock()
	var errs []error
	for _, s := range given {
		errs = append(errs, s.conn.Close())
	}
	return errors.Join(errs...)
}

// Close implements io.Closer, for sql.DB. No login is made any more.
func (d *dialer) Close() error { return d.giveUp(time.Now()) }
