package live

import (
	"math"
	"time"
)

const (
	// span is what rates and percentiles are taken over.
	span = 5 * time.Second
	// step is between two points of a chart, and points is how many it has: five minutes.
	step   = 2 * time.Second
	points = 150
)

// history is the last moments, for rates, and what charts need of the last minutes.
// Its size depends on how many shards and workers there are, and on nothing else.
type history struct {
	moments [span/watched + 2]moment // the newest last
	roles   map[string]string        // of databases, as they said last
	tracker tracker

	charted time.Time
	all     lines
	shards  []lines
	trouble series // the severity of what was worst
}

// lines are those of one chart each.
type lines struct{ rate, failed, p50, p99 series }

// series is the last points of a line, the newest last; NaN where there was nothing.
type series struct {
	values [points]float64
	known  int
}

func (s *series) add(v float64) {
	copy(s.values[:], s.values[1:])
	s.values[points-1] = v
	s.known = min(s.known+1, points)
}

func (s *series) shown() []float64 { return s.values[points-s.known:] }

// flow is traffic over a time.
type flow struct{ rate, failed, p50, p99 float64 }

func (l *lines) add(f flow) {
	l.rate.add(f.rate)
	l.failed.add(f.failed)
	l.p50.add(f.p50)
	l.p99.add(f.p99)
}

func (h *history) newest() *moment { return &h.moments[len(h.moments)-1] }

// before is the moment that rates are counted from.
func (h *history) before() *moment {
	now := h.newest()
	for i := range h.moments {
		m := &h.moments[i]
		if !m.at.IsZero() && now.at.Sub(m.at) <= span+unwatched && len(m.shards) == len(now.shards) && len(m.workers) == len(now.workers) {
			return m
		}
	}
	return now
}

func (h *history) add(m moment) {
	// A look between two others, for who has just come, gives way to the next: it does not shorten what rates are taken over.
	if n := len(h.moments); h.moments[n-1].at.Sub(h.moments[n-2].at) >= watched {
		copy(h.moments[:], h.moments[1:])
	}
	h.remember(&m)
	*h.newest() = m
	h.tracker.see(m.at, h.troubles())
	if m.at.Sub(h.charted) < step {
		return
	}
	h.charted = m.at
	h.all.add(h.total())
	if len(h.shards) != len(m.shards) {
		h.shards = make([]lines, len(m.shards))
	}
	for i := range h.shards {
		h.shards[i].add(h.shard(i))
	}
	h.trouble.add(float64(h.tracker.worst()))
}

// remember keeps what each database is, for when it no longer says so.
func (h *history) remember(m *moment) {
	if h.roles == nil {
		h.roles = map[string]string{}
	}
	for i := range m.shards {
		servers := m.shards[i].servers
		for n := range servers {
			one := &servers[n]
			if one.role != "" {
				h.roles[one.name] = one.role
				continue
			}
			one.role = h.roles[one.name]
			if one.role == "" { // never seen: what it was set up as
				one.role = [...]string{primary: "primary", replica: "replica"}[min(n, replica)]
			}
		}
	}
}

func (h *history) total() flow {
	return h.flow(func(m *moment) (all traffic) {
		for i := range m.workers {
			all.add(m.workers[i].traffic)
		}
		return all
	})
}

func (h *history) shard(i int) flow {
	return h.flow(func(m *moment) (all traffic) {
		for _, side := range m.shards[i].sides {
			all.add(side.traffic)
		}
		return all
	})
}

func (h *history) worker(i int) flow {
	return h.flow(func(m *moment) traffic { return m.workers[i].traffic })
}

// flow is what came to traffic lately.
func (h *history) flow(of func(*moment) traffic) flow {
	before, now := of(h.before()), of(h.newest())
	took := now.took.since(before.took)
	return flow{
		rate: h.rate(now.done+now.failed, before.done+before.failed), failed: h.rate(now.failed, before.failed),
		p50: took.quantile(0.5), p99: took.quantile(0.99),
	}
}

// rate is per second, of a counter; 0 where there is nothing to compare with.
func (h *history) rate(now, before float64) float64 {
	seconds := h.newest().at.Sub(h.before().at).Seconds()
	if seconds <= 0 || math.IsNaN(now-before) {
		return 0
	}
	return max(0, now-before) / seconds
}
