package shard

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxInside is how many requests of this process may ever be sent to a server or
	// wait to be, and how many may wait for each of the statements that take several.
	// In ordinary times 10,000 clients leave 300 at each.
	maxInside = 1000
	// minInside may be there however slow the server is.
	minInside = 16
	// window is how long it is watched to know how many requests it answers in a time.
	window = 250 * time.Millisecond
	// enoughWindows are what that is known from. With each one less it may be
	// wrong by so many times.
	enoughWindows = 4
	// recently is how long a window counts more than those before it.
	recently = 4 * time.Second
	windows  = int(recently / window)
	// memory is for how long what was seen is remembered if nothing else is.
	memory = time.Minute
	// maxCuts of the queue by half are made while it is full: who waits in one that
	// stays full helps nobody, as it is no shorter for it (RFC 8289, "bad queue").
	maxCuts = 3
)

// queue bounds how many statements are sent to a server, or wait to be: those that,
// by what it did last, are answered in time. Whoever comes when there are more
// is refused at once, not when it is too late.
//
// What it can do is known without a flood, too: as much as it did in the time in
// which it was asked, times the connections it can be asked over. And a statement
// of several requests counts as one: that is what there would be more of in a flood.
type queue struct {
	most    time.Duration // that a request may be inside
	answers atomic.Int64  // to statements
	busy    atomic.Int64  // nanoseconds that all connections were, together
	sent    atomic.Int64  // statements in this window
	took    atomic.Int64  // nanoseconds that one of them took last
	until   atomic.Int64  // when the window ends, in nanoseconds since the Unix epoch
	calm    atomic.Bool   // somebody came, in this window, for whom there was a connection

	mu      sync.Mutex
	began   time.Time // the window
	had     int64     // answers by then
	wasBusy int64
	full    bool // somebody was refused, in this window
	cuts    int  // how often the queue was halved
	rooms   [windows]room
	next    int // of rooms, the oldest
}

// room is for how many there was, by what was seen until then.
type room struct {
	until  time.Time
	inside int64
	flood  bool // all who came had to wait: the server did what it can
}

// admits tells whether so many may be inside of a server that is asked over so many connections,
// the last of whom asks for so many statements, one after the other: they wait in the queue each time.
func (q *queue) admits(inside, statements, conns int64, now time.Time) bool {
	q.note(inside, conns)
	few := inside <= max(conns, minInside/statements)
	if few && now.UnixNano() < q.until.Load() {
		return true
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.look(conns, now)
	admits := few || inside*statements <= q.limit(now)
	q.full = q.full || !admits
	return admits
}

// note remembers that somebody came for whom there was a connection.
func (q *queue) note(inside, conns int64) {
	if inside <= conns && !q.calm.Load() {
		q.calm.Store(true)
	}
}

// together is how many may wait for the next statements that take several, of which
// one is on its way beside so many inside: as many as go in those that are answered in time.
func (q *queue) together(inside, conns int64, now time.Time) int {
	q.note(inside, conns)
	if now.UnixNano() >= q.until.Load() {
		q.mu.Lock()
		q.look(conns, now)
		q.mu.Unlock()
	}
	took := q.took.Load()
	if took == 0 {
		return maxInside
	}
	return int(min(maxInside, max(minInside, maxBatch*(int64(q.most)-took)/took)))
}

// look ends the window, if it has been long enough. The caller holds mu.
func (q *queue) look(conns int64, now time.Time) {
	passed := now.Sub(q.began)
	if passed < window {
		return
	}
	answers, busy := q.answers.Load(), q.busy.Load()
	// None are answered in a pause, which says nothing of what comes after it.
	if got, asked := answers-q.had, busy-q.wasBusy; got > 0 && asked > 0 {
		if sent := q.sent.Swap(0); sent > 0 {
			q.took.Store(asked / sent)
		}
		r := room{until: now, flood: !q.calm.Load()}
		if r.flood {
			r.inside = int64(float64(got) * float64(q.most) / float64(passed))
		} else {
			r.inside = int64(float64(got) * float64(conns) * float64(q.most) / float64(asked))
		}
		q.rooms[q.next] = r
		q.next = (q.next + 1) % windows
	}
	switch {
	case passed >= recently:
		q.cuts = 0
	case q.full:
		q.cuts = min(q.cuts+1, maxCuts)
	default:
		q.cuts = max(q.cuts-1, 0)
	}
	q.began, q.had, q.wasBusy, q.full = now, answers, busy, false
	q.calm.Store(false)
	q.until.Store(now.Add(window).UnixNano())
}

// limit goes by the windows of the flood that there is, or by those that were seen recently,
// if they are enough, or by all that are remembered. The caller holds mu.
func (q *queue) limit(now time.Time) int64 {
	fit, seen := q.flood(now)
	if seen < enoughWindows { // it may be but a pause's end
		fit, seen = q.fit(now, recently)
	}
	if seen < enoughWindows {
		fit, seen = q.fit(now, memory)
	}
	if seen == 0 {
		return maxInside
	}
	doubt := 1 + max(0, enoughWindows-seen)
	return min(maxInside, max(minInside, int64(doubt)*fit>>q.cuts))
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

// flood is the mean of the windows since there is one: what a server does in a calm it
// may not do in a flood, of which others on its machine have their part.
func (q *queue) flood(now time.Time) (fit int64, seen int) {
	for i := range windows {
		r := q.rooms[(q.next-1-i+windows)%windows]
		if !r.flood || now.Sub(r.until) >= recently {
			break
		}
		fit += r.inside
		seen++
	}
	return fit / int64(max(seen, 1)), seen
}
