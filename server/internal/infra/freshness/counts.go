package freshness

import (
	"encoding/binary"
	"hash/fnv"
	"sync/atomic"
	"time"
)

// counts are what was counted last of every shard, by whichever process. There
// is no lock, which a process could take with it: who finds a sum that is not
// that of the rest, since two have written at once, has found nothing.
type counts struct {
	claimed atomic.Int64 // until when a process is at it, an instant
	begun   atomic.Int64 // an instant; 0 is never
	wall    atomic.Int64 // the same by the wall clock
	sum     atomic.Uint64
	_       [4]uint64
	shard   [MaxShards]atomic.Int64 // twice the count, and one if the primary counted
}

// Count is how many there were on a shard.
type Count struct {
	N       int64
	Primary bool // and not the replica counted
}

func (c Count) word() int64 {
	if c.Primary {
		return c.N<<1 | 1
	}
	return c.N << 1
}

// LastCounts returns what was counted last of all shards, when that was begun, and
// how long ago; ok is false if nothing was.
func (t *Table) LastCounts() (list []Count, begun time.Time, age time.Duration, ok bool) {
	c := &t.mem.counts
	sum, at, wall := c.sum.Load(), c.begun.Load(), c.wall.Load()
	list = make([]Count, t.shards)
	for i := range list {
		word := c.shard[i].Load()
		list[i] = Count{word >> 1, word&1 != 0}
	}
	return list, time.UnixMicro(wall), now().sub(instant(at)), at != 0 && sum == sumOf(at, wall, list)
}

// KeepCounts keeps for all processes what was begun then.
func (t *Table) KeepCounts(list []Count, begun time.Time) {
	c := &t.mem.counts
	at, wall := int64(now().add(-time.Since(begun))), begun.UnixMicro()
	c.begun.Store(at)
	c.wall.Store(wall)
	for i, count := range list {
		c.shard[i].Store(count.word())
	}
	c.sum.Store(sumOf(at, wall, list))
	c.claimed.Store(0)
}

// MayCount tells one process at a time that it may count. One that has kept
// nothing within the time has failed: then another may.
func (t *Table) MayCount(within time.Duration) bool {
	until, present := t.mem.counts.claimed.Load(), now()
	return present >= instant(until) && t.mem.counts.claimed.CompareAndSwap(until, int64(present.add(within)))
}

// GiveUpCounting lets another process count at once.
func (t *Table) GiveUpCounting() { t.mem.counts.claimed.Store(0) }

func sumOf(at, wall int64, list []Count) uint64 {
	h := fnv.New64a()
	var word [8]byte
	add := func(n int64) {
		binary.LittleEndian.PutUint64(word[:], uint64(n))
		_, _ = h.Write(word[:]) // it never fails
	}
	add(at)
	add(wall)
	for _, count := range list {
		add(count.word())
	}
	return h.Sum64()
}
