package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"
)

// journal holds every request that has ended, in that order, and since when the others wait.
type journal struct {
	mu      sync.Mutex
	events  []event
	waiting map[*event]struct{}
}

// begin takes note of a request before it is sent.
func (j *journal) begin(e *event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.waiting == nil {
		j.waiting = make(map[*event]struct{})
	}
	e.begun = time.Now()
	j.waiting[e] = struct{}{}
}

// end takes note of how it ended.
func (j *journal) end(e *event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.waiting, e)
	e.ended = time.Now()
	j.events = append(j.events, *e)
}

// since are the requests that ended after the instant.
func (j *journal) since(at time.Time) []event {
	j.mu.Lock()
	defer j.mu.Unlock()
	from := sort.Search(len(j.events), func(i int) bool { return j.events[i].ended.After(at) })
	return slices.Clone(j.events[from:])
}

// oldest is when the longest waiting request was sent, or now.
func (j *journal) oldest() time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	at := time.Now()
	for e := range j.waiting {
		if e.begun.Before(at) {
			at = e.begun
		}
	}
	return at
}

// blames tells whether the problem that the request was refused with names the shard.
func (e event) blames(shard string) bool {
	var problem struct{ Detail string }
	return json.Unmarshal([]byte(e.said), &problem) == nil && strings.Contains(problem.Detail, shard+" ")
}

// String implements fmt.Stringer.
func (e event) String() string {
	kind := "read"
	if e.write {
		kind = "write"
	}
	return fmt.Sprintf("a %s on %v ended after %s: %s", kind, e.shards, e.ended.Sub(e.begun).Round(time.Millisecond), e.said)
}

// figures are what a fault cost.
type figures struct {
	requests, refused, cut, hung int
	gap                          time.Duration // the longest time in which a shard answered no read, or no write
	gapOf                        string
	healed                       time.Duration // from the end of the fault to the end of the last failed request
	broken                       int
}

// line is what a gap is looked for in.
type line struct {
	shard string
	write bool
}

// String implements fmt.Stringer.
func (l line) String() string {
	if l.write {
		return l.shard + " writes"
	}
	return l.shard + " reads"
}

// measure looks at what ended from the fault's beginning to now.
func measure(events []event, begun, now time.Time) (m figures) {
	lastAnswer := make(map[line]time.Time)
	answer := func(l line, at time.Time) {
		last, ok := lastAnswer[l]
		if !ok {
			last = begun
		}
		if gap := at.Sub(last); gap > m.gap {
			m.gap, m.gapOf = gap, l.String()
		}
		lastAnswer[l] = at
	}
	for _, e := range events {
		m.requests++
		switch e.outcome {
		case wrong: // told when it came
		case refused:
			m.refused++
		case cut:
			m.cut++
		case hung:
			m.hung++
		case answered:
			for _, shard := range e.shards {
				answer(line{shard, e.write}, e.ended)
			}
		}
	}
	for l := range lastAnswer {
		answer(l, now)
	}
	return m
}
