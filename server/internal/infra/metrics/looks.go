package metrics

// CacheOutcome is what came of a look into the cache.
type CacheOutcome uint8

// The outcomes.
const (
	CacheHit      CacheOutcome = iota // the worker had a copy
	CacheFetched                      // Redis had one
	CacheMiss                         // there is none
	CacheStale                        // there is one that no longer counts
	CacheError                        // Redis is away, or does not answer in time
	CacheBypassed                     // no copy could count, so nobody looked
	cacheOutcomes
)

// String is the label's word.
func (o CacheOutcome) String() string {
	return [...]string{"hit", "fetched", "miss", "stale", "error", "bypassed"}[o]
}

// CacheLook is a look into the cache for a copy of a record.
type CacheLook struct {
	Outcome CacheOutcome
	Joined  bool // it shared another's question to Redis
}

// Found tells whether there is a copy.
func (l CacheLook) Found() bool { return l.Outcome <= CacheFetched }

// Looked counts a read that a copy might have answered.
func (w *Worker) Looked(l CacheLook) {
	w.slot.cache[l.Outcome].Add(1)
	if l.Joined {
		w.slot.joined.Add(1)
	}
}

// The outcomes of limits.
const (
	refused = iota
	allowed
	limitOutcomes
)

// Limited counts a request of a client that is limited.
func (w *Worker) Limited(isAllowed bool) {
	if isAllowed {
		w.slot.limited[allowed].Add(1)
	} else {
		w.slot.limited[refused].Add(1)
	}
}
