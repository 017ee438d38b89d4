package live

import (
	"slices"
	"time"
)

// maxPast is how many troubles are told that are over.
const maxPast = 8

// tracker knows since when there is which trouble, and what there was.
type tracker struct {
	present []lasting
	past    []lasting // the latest first
}

// lasting is a trouble with its time.
type lasting struct {
	trouble

	since, until time.Time
}

// see takes in what there is at a time.
func (t *tracker) see(at time.Time, now []trouble) {
	before := t.present
	t.present = nil
	for _, one := range now {
		l := lasting{trouble: one, since: at}
		if i := slices.IndexFunc(before, func(b lasting) bool { return b.what == one.what }); i >= 0 {
			l.since = before[i].since
		}
		t.present = append(t.present, l)
	}
	for _, b := range before {
		if !slices.ContainsFunc(now, func(n trouble) bool { return n.what == b.what }) {
			b.until = at
			t.past = slices.Insert(t.past, 0, b)
		}
	}
	t.past = slices.Clip(t.past[:min(len(t.past), maxPast)])
}

// worst is how bad it is now.
func (t *tracker) worst() (worst severity) {
	for _, one := range t.present {
		worst = max(worst, one.severity)
	}
	return worst
}
