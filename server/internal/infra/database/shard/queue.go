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
	// maxCalm is how many may be inside, at some moment, of a server that has time.
	maxCalm = 16
	// minCalm is maxCalm for one that has few connections.
	minCalm = 8
	// rateWindow is how long answers are counted to know how many come in a time.
	rateWindow = 250 * time.Millisecond
	// enoughWindows are what a rate is known from. With each one less it may be
	// wrong by so many times: a burst after a calm is no flood yet.
	enoughWindows = 4
	// recently is how long a window counts more than those before it.
	recently = 4 * time.Second
	windows  = int(recently / rateWindow)
	// maxCuts of the queue by half are made while it is full: who waits in one that
	// stays full helps nobody, as it is no shorter for it (RFC 8289, "bad queue").
	maxCuts = 3
	// memory is for how long a rate is remembered that is not confirmed.
	memory = time.Minute
)

// queue bounds how many requests are sent to a server, or wait to be: those that,
// at the rate at which it answered last, are answered in time. Whoever comes
// when there are more is refused at once, not when it is too late.
//
// The rate is that of a server that is kept busy: while only a few are inside,
// nobody knows how many it could answer; nor while its connections are made, or
// while it pauses.
type queue struct {
	open int64         // connections
	most time.Duration // that a request may be inside
	calm atomic.Bool   // the server had time, in this window

	mu    sync.Mutex
	at    time.Time // when the window began
	had   int64     // answers by then
	full  bool      // somebody was refused, in this window
	cuts  int       // how often the queue was halved
	rooms [windows]room
	next  int // of rooms, the oldest
}

// room is how many are answered in time, by what was seen until then.
type room struct {
	until  time.Time
	inside int64
}

// calmBelow is how many are inside, at most, of a server that is not kept busy.
func (q *queue) calmBelow() int64 { return min(maxCalm, max(minCalm, q.open)) }

// always may be inside, however slow the server is.
func (q *queue) always() int64 { return 2 * q.calmBelow() }

// left takes note of how many are inside now that one has left.
func (q *queue) left(inside int64) {
	if inside < q.calmBelow() && !q.calm.Load() {
		q.calm.Store(true)
	}
}

// admits tells whether so many may be inside, if there were so many answers by now.
func (q *queue) admits(inside int64, now time.Time, answers, turns int64, growing bool) bool {
	if inside <= max(turns, q.always()) {
		return true
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.look(now, answers, growing)
	admits := inside <= q.limit(now)
	q.full = q.full || !admits
	return admits
}

// look ends the window, if it has been long enough.
func (q *queue) look(now time.Time, answers int64, growing bool) {
	passed := now.Sub(q.at)
	switch {
	case passed >= recently:
		q.cuts = 0
	case growing:
	case passed < rateWindow:
		return
	default:
		if got := answers - q.had; got > 0 && !q.calm.Load() {
			q.rooms[q.next] = room{now, int64(float64(got) * float64(q.most) / float64(passed))}
			q.next = (q.next + 1) % windows
		}
		if q.full {
			q.cuts = min(q.cuts+1, maxCuts)
		} else {
			q.cuts = max(q.cuts-1, 0)
		}
	}
	q.at, q.had, q.full = now, answers, false
	q.calm.Store(false)
}

// limit goes by the windows that were seen recently, if they are enough, or by
// all that are remembered.
func (q *queue) limit(now time.Time) int64 {
	fit, seen := q.fit(now, recently)
	if seen < enoughWindows {
		fit, seen = q.fit(now, memory)
	}
	all := q.open + maxWaiting
	if seen == 0 {
		return all
	}
	doubt := 1 + max(0, enoughWindows-seen)
	return min(all, max(q.always(), int64(doubt)*fit>>q.cuts))
}

// fit is the upper quartile of the windows: some are cut short by pauses, and
// in the best the server answered what had piled up.
func (q *queue) fit(now time.Time, within time.Duration) (fit int64, seen int) {
	var fits [windows]int64
	for _, r := range q.rooms {
		if now.Sub(r.until) < within {
			fits[seen] = r.inside
			seen++
		}
	}
	if seen == 0 {
		return 0, 0
	}
	slices.Sort(fits[:seen])
	return fits[seen*3/4], seen
}
