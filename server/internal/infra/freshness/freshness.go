// Package freshness decides which reads a replica may answer, so that whoever
// reads what was written through this server never sees an older state.
//
// # What is kept
//
// Every process of the server maps the same memory, a Table, and reads the same
// clock, the host's CLOCK_MONOTONIC. In the table are
//
//   - marks: for (the hash of) each key, until when a replica may be behind;
//   - proofs: for each shard a time T and an incarnation of its replica:
//     everything that was resolved before T is replayed on that incarnation.
//
// A read of a key may go to the replica iff mark < T and the floor < T, on a
// connection to the very incarnation that T was proven for. Two keys that share
// a mark cost each other a trip to the primary, nothing else.
//
// # Marks
//
// A write raises its marks to a time in the future, D, before it is sent, and
// carries a deadline that its statement checks by the primary's own clock
// (… AND clock_timestamp() < deadline), so that its check cannot pass after D.
// When it was acknowledged, or refused for certain, it takes that back: the
// mark becomes the present. While another write of the same mark is pending the
// mark stays in the future; each mark counts them. A write with an unknown
// outcome, or one whose process died, never takes its mark back. Its count is
// forgotten once D has passed, when it can't matter any more: the mark itself
// only ever falls from the future to the present.
//
// # Proofs
//
// One process, the holder of a lease in the table, samples. It notes the time s,
// then asks the primary, in one statement and in this order, for the oldest
// transaction that the server's role has running there, and for the position up
// to which WAL is flushed. When the replica has replayed up to that position,
// T = min(s, start of that oldest transaction) is proven. For
//
//   - a write acknowledged at t ≤ mark < T was acknowledged before s, so its
//     commit record, flushed before the acknowledgement, is below the position.
//   - a pending or unknown write has D = mark < T ≤ s. If it had been running when
//     the sample looked, it would have been seen, and T ≤ its start < D. If it was
//     over by then, its commit record, if there is one, is below the position,
//     since a backend reports the end of a transaction after it flushed the
//     commit. If it had not begun, it checks its deadline after s > D, and does
//     nothing.
//
// A proof stays true for ever, whoever publishes it and however late: so the
// lease is no lock. Two holders, or one that wakes up after its successor took
// over, only do needless work.
//
// # Incarnations
//
// A replica that crashed may come back behind what it had served. So T belongs
// to one incarnation, known by the system identifier, the timeline, the start
// of the postmaster and the last reset of the statistics. The last is there
// because a single backend that crashes, or is killed for want of memory, makes
// the postmaster start over from an old restartpoint: that changes no start
// time, but it discards the statistics. A connection ends with its incarnation,
// so each is asked once, and compared with the proof it is to be used under.
//
// # Promotions
//
// A replica that is promoted still has what was proven of it, but is none any more: the
// sampler lets go of it and looks for the server that is. Positions are compared on one
// timeline only, since another one's may be further and lack what was written before. A
// standby tells the timeline of its last restartpoint, so it is proven of only after its
// first one on the new timeline.
//
// # Clocks
//
// The offset of a primary's clock is measured with every sample, and by the
// first write. It is a lower bound, so deadlines err on the early side. Marks
// hold a margin longer than deadlines: a primary's clock may run slow by an
// eighth against ours, and be set back by less than the tolerance. A clock set
// back by more is noticed by the next sample: nothing is then proven until
// every deadline made before has passed, or while a transaction runs that may
// have begun before. What remains is a write that had been given up for dead
// before the clock was set back, and was then still stuck on its way.
//
// # The floor
//
// A new table knows no marks. Writes of the server before it end before the
// floor: its start and the lifetime of a write.
//
// # Lists
//
// A list is of no key in particular. What matters there is T itself: a replica
// has every user who could be seen on the primary before T. A list that is read
// page by page keeps the earliest T, or time of asking a primary, of its first
// page, and asks afterwards only those that have that state or a later one.
// Times mean nothing beside another table's, whose clock may be another host's;
// so each table's have a name.
//
// # Copies
//
// A copy of a record that is kept elsewhere, as in a cache, is like a replica that
// stands still. It is made of what a server answered that was asked after mark < T
// was seen, and carries that T. As long as mark < T holds, no write of the key
// has begun since, and those before were over, so that the copy is what is stored:
// whoever wrote it there, whenever that was, and however often it was read. The
// mark is read when the copy is at hand, so after the reader's request began.
//
// The primary's answer will do as well as the replica's: what had been resolved, or
// had to be over, before T was so there, too. A promotion may lose what a replica
// had shown that crashed before; so a copy belongs to one promotion. And, as times
// do, it belongs to one table.
//
// # Writes past the server
//
// What is written past the server (by psql, or through a second server) has no
// mark, and shows when the replica has replayed it, and copies have become too old.
package freshness

import "time"

const (
	// tolerance is by how much a primary's clock may seem to be set back from
	// one sample to the next before that counts as a step.
	tolerance = 250 * time.Millisecond
	// slowness is what part of a clock's time it may lose against ours: an
	// eighth, above the 1/12 that chrony slews by at most.
	slowness = 8
)

// margin is by how much a mark outlasts its write's deadline.
func margin(lifetime time.Duration) time.Duration {
	// The offset was measured within the lifetime before, or else the sampler
	// was away and compares it before it proves anything.
	return tolerance + 2*lifetime/slowness
}
