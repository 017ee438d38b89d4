package freshness

import (
	"sync/atomic"
	"time"
)

// shardState is what is known of one shard; a cache line.
type shardState struct {
	proven   atomic.Uint64 // a proofWord
	asked    atomic.Int64  // when the last sample that the primary answered was begun
	replayed atomic.Int64  // when the last sample that the replica has replayed was begun
	heard    atomic.Int64  // when the replica last answered
	offset   atomic.Int64  // primary's clock − ours in microseconds, a lower bound; 0 is not known
	trusted  atomic.Int64  // from when on the primary's clock has not been set back, by that clock
	epoch    atomic.Int64  // the highest that a server of the shard has told of
	outdated atomic.Int64  // 1 while the server behind the pooler is of a lower one
}

// A proofWord says in one: everything resolved before T is replayed on the
// incarnation. T is rounded down to 4 ms and takes the lower 36 bits, enough for
// 8 years after the host's start.
type proofWord uint64

const (
	timeBits  = 36
	timeUnit  = 4000 // microseconds
	timeMask  = 1<<timeBits - 1
	identBits = 64 - timeBits
)

func prove(replica Incarnation, t instant) proofWord {
	return proofWord(uint64(replica)<<timeBits | uint64(max(0, t))/timeUnit&timeMask)
}

func (w proofWord) incarnation() Incarnation { return Incarnation(w >> timeBits) }

func (w proofWord) time() instant { return instant(w&timeMask) * timeUnit }

// publish says that everything resolved before t is replayed on the replica.
func (s *shardState) publish(replica Incarnation, t instant) {
	for {
		old := proofWord(s.proven.Load())
		news := prove(replica, t)
		if old.incarnation() == replica && old >= news {
			return
		}
		if s.proven.CompareAndSwap(uint64(old), uint64(news)) {
			return
		}
	}
}

// Proof allows reads on one incarnation of a replica.
type Proof struct{ replica Incarnation }

// MayRead tells whether the shard's replica is known to have the present state
// of the key, given in its canonical form. The read must be made on a connection
// that the Proof Allows.
func (t *Table) MayRead(shard int, key string) (Proof, bool) {
	w := proofWord(t.mem.shard[shard].proven.Load())
	if w.incarnation() == 0 {
		return Proof{}, false
	}
	return Proof{w.incarnation()}, t.settled(key, w.time())
}

// Allows tells whether the proof is about the server that the connection leads to.
func (p Proof) Allows(replica Incarnation) bool { return p.replica != 0 && p.replica == replica }

// silence is how long a replica may say nothing before reads pass it by.
const silence = 2 * time.Second

// Serves tells whether the shard's replica is worth asking: it has answered
// lately and is at most maxLag behind. It says nothing of any key.
func (t *Table) Serves(shard int, maxLag time.Duration) bool {
	s := &t.mem.shard[shard]
	return t.about().sub(instant(s.heard.Load())) <= silence && t.Lag(shard) <= maxLag
}

// Lag is how far the replica is behind its primary, as far as the primary could
// be asked: while it cannot, the replica is not getting staler.
func (t *Table) Lag(shard int) time.Duration {
	s := &t.mem.shard[shard]
	return max(0, instant(s.asked.Load()).sub(instant(s.replayed.Load())))
}

// Proven is how long ago T was, for what logs and shows the state of a shard.
func (t *Table) Proven(shard int) (age time.Duration, ok bool) {
	w := proofWord(t.mem.shard[shard].proven.Load())
	return t.about().sub(w.time()), w&timeMask != 0
}

// LearnEpoch takes in which promotion a server of the shard has told of, and returns the
// last that one has ever told any process of.
func (t *Table) LearnEpoch(shard int, epoch int64) (highest int64) {
	raise(&t.mem.shard[shard].epoch, epoch)
	return t.mem.shard[shard].epoch.Load()
}

// Outdated tells whether the pooler leads to a server that was the primary before the
// last promotion, as the last sample saw it.
func (t *Table) Outdated(shard int) bool { return t.mem.shard[shard].outdated.Load() != 0 }

// LearnClock asks the shard's primary what time it is.
func (t *Table) LearnClock(shard int, ask func() (time.Time, error)) error {
	sent := now()
	clock, err := ask()
	if err != nil {
		return err
	}
	t.mem.shard[shard].observe(clock.UnixMicro(), sent, now(), t.lifetime)
	return nil
}

// observe takes in that the primary's clock was read between sent and received,
// and tells whether a proof may rest on it.
func (s *shardState) observe(clock int64, sent, received instant, lifetime time.Duration) bool {
	low, high := clock-int64(received), clock-int64(sent)
	for {
		old := s.offset.Load()
		switch still := old - tolerance.Microseconds(); {
		case old == 0 || low >= still:
			if s.offset.CompareAndSwap(old, low) {
				return true
			}
		case high >= still:
			return false // slow to answer: there is no telling
		default:
			// The clock was set back. Deadlines by the old offset pass when it
			// has come as far again, and times before that are ambiguous. The
			// first line is for the case that we die before the last.
			distrust := func() { raise(&s.trusted, int64(now().add(2*lifetime))+old) }
			distrust()
			if s.offset.CompareAndSwap(old, low) {
				distrust()
				return false
			}
		}
	}
}

func raise(word *atomic.Int64, to int64) {
	for {
		old := word.Load()
		if old >= to || word.CompareAndSwap(old, to) {
			return
		}
	}
}
