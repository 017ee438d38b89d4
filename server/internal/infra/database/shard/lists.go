package shard

import (
	"context"
	"sync"

	"gorm.io/gorm"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
)

// Lists are reads of a shard that are about no key in particular. Those who wait
// for the same are answered by one query, sent after the last of them has come.
type Lists[K comparable, V any] struct {
	shard *Shard
	query func(db *gorm.DB, what K) (V, error)

	mu    sync.Mutex
	asked map[K]*list[K, V]
}

type list[K comparable, V any] struct {
	*Lookups[K, V]

	readers int // under Lists.mu
}

// NewLists returns the lists by a query. What it finds is shared: nobody may change it.
func NewLists[K comparable, V any](s *Shard, query func(*gorm.DB, K) (V, error)) *Lists[K, V] {
	return &Lists[K, V]{shard: s, query: query, asked: make(map[K]*list[K, V])}
}

// Get reads what is asked for, by a state no older than since; the zero Moment
// asks for nothing. It returns the Moment that the answer is at least as new as:
// whatever could be seen before is in it.
func (l *Lists[K, V]) Get(ctx context.Context, since entities.Moment, what K) (v V, has entities.Moment, err error) {
	asked := l.join(what)
	defer l.leave(what, asked)
	has, err = l.shard.readSince(ctx, since, asked.question(what, &v))
	return v, has, err
}

func (l *Lists[K, V]) join(what K) *list[K, V] {
	l.mu.Lock()
	defer l.mu.Unlock()
	asked := l.asked[what]
	if asked == nil {
		asked = &list[K, V]{Lookups: NewLookups(l.shard, l.query, l.once)}
		l.asked[what] = asked
	}
	asked.readers++
	return asked
}

func (l *Lists[K, V]) leave(what K, asked *list[K, V]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if asked.readers--; asked.readers == 0 {
		delete(l.asked, what)
	}
}

// once queries for all, who want the same.
func (l *Lists[K, V]) once(db *gorm.DB, same []K) (map[K]V, error) {
	v, err := l.query(db, same[0])
	return map[K]V{same[0]: v}, err
}
