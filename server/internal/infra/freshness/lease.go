package freshness

import "time"

// leaseTerm is how long a lease lasts that is not kept.
const leaseTerm = 500 * time.Millisecond

// Lease makes one process at a time do what one is enough for. It is no lock: a
// holder that is stopped finds out too late that it has a successor. It is used
// by one goroutine.
type Lease struct {
	table *Table
	id    uint64
	held  uint64
}

const leaseIDBits = 16

// NewLease returns a lease of this process, not held yet.
func (t *Table) NewLease() *Lease {
	return &Lease{table: t, id: t.mem.members.Add(1) & (1<<leaseIDBits - 1)}
}

// Keep takes the lease if nobody has kept it for its term, or keeps it, and
// tells whether it is held. A holder calls it several times in a term.
func (l *Lease) Keep() bool {
	word := &l.table.mem.lease
	old, present := word.Load(), now()
	mine := l.held != 0 && l.held == old
	if !mine && present.sub(instant(old>>leaseIDBits)) < leaseTerm {
		l.held = 0
		return false
	}
	next := uint64(present)<<leaseIDBits | l.id
	if !word.CompareAndSwap(old, next) {
		l.held = 0
		return false
	}
	l.held = next
	return true
}

// Release lets another process have the lease at once.
func (l *Lease) Release() {
	if l.held != 0 {
		l.table.mem.lease.CompareAndSwap(l.held, 0)
		l.held = 0
	}
}
