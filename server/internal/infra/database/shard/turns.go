package shard

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	// minTurns are there from the start: logins that are made all at once are all late.
	minTurns = 4
	// loginShare is the part of the time in which one is added that a login takes. It is
	// milliseconds of computing on both sides (SCRAM), which a server that is
	// overloaded, so that requests wait for it, needs for its answers.
	loginShare = 1. / 50
	// stuckShare is the same while nobody is answered for stuckAfter times as long as a
	// statement took last: those that have a turn wait for a lock, say, and the server has
	// time. No other is added sooner, either.
	stuckShare = 1. / 2
	stuckAfter = 10
	// minGrowth is the least time in which one is added, beyond minTurns.
	minGrowth = 20 * time.Millisecond
)

// turns are rights to use a connection of a pool, given in the order in which
// they were asked for. (In database/sql the order is chance.) There are as
// many as the pool has connections: each that is added makes one.
type turns struct {
	most    int64
	logins  *logins
	server  *queue
	free    *semaphore.Weighted // of most, of which some are kept back
	waiting atomic.Int64
	given   atomic.Int64 // of most; changed under mu

	mu      sync.Mutex
	watched bool      // a timer runs
	grown   time.Time // when the last was added
	seen    int64     // answers when the timer was set
}

func newTurns(most int64, l *logins, q *queue) *turns {
	t := &turns{most: most, logins: l, server: q, free: semaphore.NewWeighted(most)}
	t.given.Store(min(most, minTurns))
	t.free.TryAcquire(most - t.given.Load())
	return t
}

// take waits for a turn.
func (t *turns) take(ctx context.Context) (waited bool, err error) {
	if t.free.TryAcquire(1) {
		return false, nil
	}
	t.waiting.Add(1)
	defer t.waiting.Add(-1)
	t.grow()
	return true, t.free.Acquire(ctx, 1)
}

func (t *turns) done() { t.free.Release(1) }

// grow adds a turn for those who wait, if it is time, and goes on until nobody waits.
func (t *turns) grow() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.watched || t.given.Load() == t.most || t.waiting.Load() == 0 {
		return
	}
	answers := t.server.answers.Load()
	if answers == t.seen || time.Since(t.grown) >= t.logins.times(loginShare) {
		t.given.Add(1)
		t.free.Release(1)
		t.grown = time.Now()
	}
	t.watched, t.seen = true, answers
	time.AfterFunc(max(t.logins.times(stuckShare), stuckAfter*time.Duration(t.server.took.Load())), func() {
		t.mu.Lock()
		t.watched = false
		t.mu.Unlock()
		t.grow()
	})
}

// shrink takes back turns, as far as nobody has them, of a pool that has so
// many connections.
func (t *turns) shrink(connections int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.given.Load() > max(connections, min(t.most, minTurns)) && t.free.TryAcquire(1) {
		t.given.Add(-1)
	}
}
