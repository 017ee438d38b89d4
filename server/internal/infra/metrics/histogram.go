package metrics

import (
	"sync/atomic"
	"time"
)

// bounds of durations: an upper one is in its bucket. Where requests usually are they
// lie close, so that percentiles between them can be told.
var bounds = [...]time.Duration{
	250 * time.Microsecond, 500 * time.Microsecond, time.Millisecond, 2 * time.Millisecond, 3 * time.Millisecond,
	5 * time.Millisecond, 7500 * time.Microsecond, 10 * time.Millisecond, 15 * time.Millisecond, 25 * time.Millisecond,
	50 * time.Millisecond, 75 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second,
}

// histogram counts durations.
type histogram struct {
	buckets [len(bounds) + 1]atomic.Uint64 // not cumulative; the last is what lasted longer
	sum     atomic.Uint64                  // nanoseconds
}

func (h *histogram) observe(took time.Duration) {
	i := 0
	for i < len(bounds) && took > bounds[i] {
		i++
	}
	h.buckets[i].Add(1)
	h.sum.Add(uint64(max(0, took)))
}

// sizes are the bounds of how many go together.
var sizes = [...]int{1, 2, 4, 8, 16, 32, 64, 128}

// batches counts statements by how many calls each carries.
type batches struct {
	buckets [len(sizes) + 1]atomic.Uint64
	sum     atomic.Uint64
}

func (b *batches) observe(size int) {
	i := 0
	for i < len(sizes) && size > sizes[i] {
		i++
	}
	b.buckets[i].Add(1)
	b.sum.Add(uint64(size))
}
