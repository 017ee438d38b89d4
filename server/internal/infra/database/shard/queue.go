package shard

import (
	"slices"
	"sync"
	"time"
)

const (
	// maxWaiting is how many requests of this process may ever wait for a server,
	// beyond those that have a connection. In ordinary times 10,000 clients leave 300 at each.
	maxWaiting = 1000
	// minWaiting may wait however slow the server is.
	minWaiting = 16
	// rateWindow is how long answers are counted to know how many come in a time.
	// The best of the last windows counts: a server may well pause for a second.
	rateWindow = 250 * time.Millisecond
	windows    = 8
)

// queue bounds how many requests wait for a server: those that, at the rate at
// which it answered last, have their turn in time to be answered. Whoever comes
// when there are more is refused at once, not when it is too late.
type queue struct {
	most time.Duration // that a request may wait

	mu    sync.Mutex
	at    time.Time      // when the window began
	had   int64          // answers by then
	fit   [windows]int64 // by each of the windows before
	known int            // windows so far
}

// room is how many may wait, if there were so many answers by now. While the
// server's connections are still being made, their number says nothing.
func (q *queue) room(now time.Time, answers int64, growing bool) int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	passed := now.Sub(q.at)
	switch {
	case passed >= windows*rateWindow: // nobody waited lately: the rate would be of what was asked, not of what can be
		q.known = 0
		q.fit = [windows]int64{}
	case growing:
	case passed < rateWindow:
		return q.limit()
	default:
		q.fit[q.known%windows] = min(maxWaiting, int64(float64(answers-q.had)*float64(q.most)/float64(passed)))
		q.known++
	}
	q.at, q.had = now, answers
	return q.limit()
}

func (q *queue) limit() int64 {
	if q.known == 0 {
		return maxWaiting
	}
	return max(minWaiting, slices.Max(q.fit[:]))
}
