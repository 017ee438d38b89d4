package shard

import (
	"context"
	"slices"

	"gorm.io/gorm"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
)

// maxRows bounds how many rows a statement for several lists asks for. One list
// may be longer: it goes alone then.
const maxRows = 2000

// Lists are reads of a shard that are about no key in particular. Those that
// wait for a server are sent to it together, and who wants the same is given
// the same.
type Lists[K comparable, V any] struct{ lookups *Lookups[K, V] }

// NewLists returns the lists by two queries that find the same: one, and many,
// which is told what is wanted once each, and reads as many rows of each as rows
// says of the longest. What they find is shared: nobody may change it.
func NewLists[K comparable, V any](s *Shard, one func(*gorm.DB, K) (V, error), many func(*gorm.DB, []K) (map[K]V, error), rows func(K) int) *Lists[K, V] {
	l := NewLookups(s, one, func(db *gorm.DB, whats []K) (map[K]V, error) {
		if whats = distinct(whats); len(whats) > 1 {
			return many(db, whats)
		}
		v, err := one(db, whats[0])
		return map[K]V{whats[0]: v}, err
	})
	l.primary.fit = func(calls []*call[K, V]) int {
		return fit(calls, rows, func(what K) K { return what })
	}
	if l.replica != nil {
		l.replica.fit = func(calls []*call[provenKey[K], V]) int {
			return fit(calls, rows, func(asked provenKey[K]) K { return asked.key })
		}
	}
	return &Lists[K, V]{l}
}

// Get reads what is asked for, by a state no older than since; the zero Moment
// asks for nothing. It returns the Moment that the answer is at least as new as:
// whatever could be seen before is in it.
func (l *Lists[K, V]) Get(ctx context.Context, since entities.Moment, what K) (v V, has entities.Moment, err error) {
	has, err = l.lookups.shard.readSince(ctx, since, l.lookups.question(what, &v))
	return v, has, err
}

// fit is how many of the first calls may go in one statement.
func fit[I any, K comparable, V any](calls []*call[I, V], rows func(K) int, what func(I) K) int {
	longest, counted := 0, make(map[K]bool)
	for n, c := range calls {
		k := what(c.in)
		longest = max(longest, rows(k))
		counted[k] = true
		if n > 0 && len(counted)*longest > maxRows {
			return n
		}
	}
	return len(calls)
}

func distinct[K comparable](all []K) []K {
	seen := make(map[K]bool, len(all))
	return slices.DeleteFunc(slices.Clone(all), func(k K) bool {
		twice := seen[k]
		seen[k] = true
		return twice
	})
}
