package freshness

import "time"

// State says how new a copy of a record is: it has everything that was resolved
// before Time.
type State struct {
	Clock uint64 `json:"clock"` // the table whose time it is
	Time  int64  `json:"time"`
	Epoch int64  `json:"epoch"` // the shard's promotion that it was read under
}

// Current is the State that a copy of the key's record has, which is asked for
// after this, of whichever of the shard's servers. ok is false while there is
// none: the key has been written since the last proof, so that no copy counts.
func (t *Table) Current(shard int, key string) (present State, ok bool) {
	s := &t.mem.shard[shard]
	epoch := s.epoch.Load() // first: should there be a promotion now, the copy shall not count
	proven := proofWord(s.proven.Load()).time()
	return State{t.mem.clock.Load(), int64(proven), epoch}, t.settled(key, proven)
}

// Counts tells whether a copy of the key's record has what was written last. It
// is asked when the copy is at hand. A copy that is older than maxAge does not
// count: what is written past the server has no mark.
func (t *Table) Counts(shard int, key string, s State, maxAge time.Duration) bool {
	since := instant(s.Time)
	return s.Clock == t.mem.clock.Load() && s.Epoch == t.mem.shard[shard].epoch.Load() &&
		t.settled(key, since) && t.about().sub(since) <= maxAge
}

// settled tells whether every write of the key that has begun was over before
// proven, which is some proof's T.
func (t *Table) settled(key string, proven instant) bool {
	return max(t.floor, t.mark(key).until()) < proven
}
