package shard

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxWaiting is how many requests of this process may ever wait for a server,
	// beyond its connections. In ordinary times 10,000 clients leave 300 at each.
	maxWaiting = 1000
	// minInside may be there however slow the server is.
	minInside = 32
	// rateWindow is how long answers are counted to know how many come in a time.
	// The best of the last windows counts: a server may well pause for seconds.
	rateWindow = 250 * time.Millisecond
	windows    = 16
	// enoughWindows are what a rate is known from: a burst after a calm, on a
	// machine that has other things to do, is no flood yet.
	enoughWindows = 4
)

// queue bounds how many requests are sent to a server, or wait to be: those that,
// at the rate at which it answered last, are answered in time. Whoever comes
// when there are more is refused at once, not when it is too late.
//
// The rate is that of a server that is kept busy: while only a few are inside,
// nobody knows how many it could answer, nor while its connections are made.
type queue struct {
	open int64         // connections
	most time.Duration // that a request may be inside
	idle atomic.Bool   // fewer than minInside were, in this window

	mu    sync.Mutex
	at    time.Time      // when the window began
	had   int64          // answers by then
	fit   [windows]int64 // by each of the windows before
	known int            // windows so far
}

// left takes note of how many are inside now that one has left.
func (q *queue) left(inside int64) {
	if inside < minInside && !q.idle.Load() {
		q.idle.Store(true)
	}
}

// room is how many may be inside, if there were so many answers by now.
func (q *queue) room(now time.Time, answers int64, growing bool) int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	passed := now.Sub(q.at)
	switch {
	case passed >= windows*rateWindow:
		q.known = 0
		q.fit = [windows]int64{}
	case growing:
	case passed < rateWindow:
		return q.limit()
	case q.idle.Load():
		q.learn(q.open + maxWaiting)
	default:
		q.learn(int64(float64(answers-q.had) * float64(q.most) / float64(passed)))
	}
	q.at, q.had = now, answers
	q.idle.Store(false)
	return q.limit()
}

func (q *queue) learn(fit int64) {
	q.fit[q.known%windows] = fit
	q.known++
}

func (q *queue) limit() int64 {
	all := q.open + maxWaiting
	if q.known < enoughWindows {
		return all
	}
	return min(all, max(minInside, slices.Max(q.fit[:])))
}
