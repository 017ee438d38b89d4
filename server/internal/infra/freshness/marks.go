package freshness

import (
	"context"
	"sync/atomic"
	"time"
)

// mark is a word that says until when a replica may be behind for the keys that
// share it, in its upper 52 bits, and how many writes of them are pending, in
// its lower 12. While some are, the time is no less than any one's D.
type mark struct{ word atomic.Uint64 }

const (
	pendingBits = 12
	// manyPending stands for that many or more: whose count is lost stays
	// pending until its D.
	manyPending = 1<<pendingBits - 1
)

func pack(until instant, pending uint64) uint64 { return uint64(until)<<pendingBits | pending }

func unpack(word uint64) (until instant, pending uint64) {
	return instant(word >> pendingBits), word & manyPending
}

func (m *mark) until() instant {
	until, _ := unpack(m.word.Load())
	return until
}

// begin makes one more write pending until d. The present may be a little old.
func (m *mark) begin(present, d instant) {
	for {
		old := m.word.Load()
		until, pending := unpack(old)
		if until <= present {
			pending = 0 // their D has passed: they are for the proofs to settle
		}
		if m.word.CompareAndSwap(old, pack(max(until, d), min(pending+1, manyPending))) {
			return
		}
	}
}

// end ends a write that was pending until d, if it is still counted. The word
// is read before the clock. So if begin has forgotten the write, which it does
// at a time past d, that is known here; and should it do so only now, the swap
// fails: it leaves a time behind that no mark has had before.
func (m *mark) end(d instant) {
	for {
		old := m.word.Load()
		until, pending := unpack(old)
		present := now()
		switch {
		case present >= d: // not counted for certain
			if until >= present {
				return
			}
			pending, until = 0, present
		case pending == manyPending:
			return
		case pending <= 1:
			pending, until = 0, present
		default:
			pending--
		}
		if m.word.CompareAndSwap(old, pack(until, pending)) {
			return
		}
	}
}

// mark is the one of a key. FNV-1a spreads ids and addresses well enough once
// its product's upper bits are taken.
func (t *Table) mark(key string) *mark {
	const offset, prime, golden = 14695981039346656037, 1099511628211, 0x9e3779b97f4a7c15
	hash := uint64(offset)
	for i := range len(key) {
		hash = (hash ^ uint64(key[i])) * prime
	}
	return &t.mem.marks[hash*golden>>(64-slotBits)]
}

// Write is a write on its way to a primary.
type Write struct {
	// Deadline is when the primary must not begin it any more, by its clock.
	Deadline time.Time

	until instant
	marks []*mark
}

// Begin marks the keys that a write to the shard is about to change, in their
// canonical form. The write is given what is left of ctx's time, at most the
// table's lifetime. ok is false while the primary's clock is not known: see
// LearnClock.
//
// Every statement of the write must do nothing once its Deadline has passed.
func (t *Table) Begin(ctx context.Context, shard int, keys ...string) (w *Write, ok bool) {
	// The clock is read before the offset: who uses an offset that the sampler
	// has replaced has read the clock before it did. See shardState.observe.
	begun := now()
	offset := t.mem.shard[shard].offset.Load()
	if offset == 0 {
		return nil, false
	}
	left := t.lifetime
	if deadline, ok := ctx.Deadline(); ok {
		left = max(0, min(left, time.Until(deadline)))
	}
	w = &Write{
		Deadline: time.UnixMicro(int64(begun.add(left)) + offset),
		until:    begun.add(left + margin(t.lifetime)),
		marks:    make([]*mark, len(keys)),
	}
	for i, key := range keys {
		w.marks[i] = t.mark(key)
		w.marks[i].begin(begun, w.until)
	}
	return w, true
}

// Done says that the outcome of the write is known: it was acknowledged, or it
// will never happen. A write that is never Done keeps its marks until a sample
// proves that it is over. Done may be called once.
func (w *Write) Done() {
	for _, m := range w.marks {
		m.end(w.until)
	}
	w.marks = nil
}
