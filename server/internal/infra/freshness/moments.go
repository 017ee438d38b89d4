package freshness

import (
	"crypto/rand"
	"encoding/binary"
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
)

// nameClock gives the table's times a name that no other table has, of this
// host or another, before or after a restart.
func nameClock(mem *memory) {
	var name [8]byte
	_, _ = rand.Read(name[:]) // it never fails
	mem.clock.Store(max(1, binary.BigEndian.Uint64(name[:])))
}

// Now is the present Moment: what is read from a primary from now on is no
// older.
func (t *Table) Now() entities.Moment { return t.moment(now()) }

func (t *Table) moment(i instant) entities.Moment {
	return entities.Moment{Clock: t.mem.clock.Load(), Time: int64(i)}
}

// MayReadSince tells whether the shard's replica is known to have everything
// that was resolved before the Moment since, and the Moment that this is in
// fact known of, which is no earlier. Any known state does for the zero Moment,
// none for a Moment of another table. The read must be made on a connection
// that the Proof Allows.
func (t *Table) MayReadSince(shard int, since entities.Moment) (p Proof, has entities.Moment, ok bool) {
	w := proofWord(t.mem.shard[shard].proven.Load())
	if w.incarnation() == 0 || w.time() == 0 {
		return Proof{}, entities.Moment{}, false
	}
	has = t.moment(w.time())
	ok = since == entities.Moment{} || has.Comparable(since) && has.Time >= since.Time
	return Proof{w.incarnation()}, has, ok
}

// TimeOf is when a Moment of this table was by the wall clock, rather too early
// than too late.
func (t *Table) TimeOf(m entities.Moment) time.Time {
	wall := time.Now()
	return wall.Add(-now().sub(instant(m.Time))).Truncate(time.Microsecond)
}
