package shard

import (
	"slices"
	"sync"
	"time"
)

const (
	// maxWaiting is how many requests of this process may ever wait for a
	// connection to one server. In ordinary times 10,000 clients leave 300 at each.
	maxWaiting = 1000
	// minWaiting may wait however slow the server is: a burst after a calm.
	minWaiting = 16
	// rateWindow is how long answers are counted to know how many come in a time.
	// The best of the last windows counts: a server may well pause for a second.
	rateWindow = 250 * time.Millisecond
	windows    = 8
)

// queue bounds how many requests wait for a server's connections: those that,
// at the rate at which it answered last, have their turn in time to be answered.
// Whoever comes when there are more is refused at once, not when it is too late.
type queue struct {
	most time.Duration // that a request may wait

	mu   sync.Mutex
	at   time.Time      // when the window began
	had  int64          // answers by then
	fit  [windows]int64 // by each of the windows before
	next int            // of fit
}

// room is how many may wait, if there were so many answers by now.
func (q *queue) room(now time.Time, answers int64) int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch passed := now.Sub(q.at); {
	case passed >= windows*rateWindow: // nobody waited lately: the rate would be of what was asked, not of what can be
		q.at, q.had, q.fit = now, answers, [windows]int64{maxWaiting}
		q.next = 0
	case passed >= rateWindow:
		q.fit[q.next] = min(maxWaiting, int64(float64(answers-q.had)*float64(q.most)/float64(passed)))
		q.next = (q.next + 1) % windows
		q.at, q.had = now, answers
	}
	return max(minWaiting, slices.Max(q.fit[:]))
}
