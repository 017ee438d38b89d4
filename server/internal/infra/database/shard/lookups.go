package shard

import (
	"context"

	"gorm.io/gorm"

	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/freshness"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/requestlog"
)

// Lookups are reads of single records of a shard. Those that wait for a server
// are sent to it together.
type Lookups[K comparable, V any] struct {
	shard *Shard
	one   func(db *gorm.DB, key K) (V, error)
	many  func(db *gorm.DB, keys []K) (map[K]V, error)

	primary *batcher[K, V]
	replica *batcher[provenKey[K], V] // nil when the shard has none
	copies  *copies[V]                // nil when nobody keeps any
}

// provenKey is a key whose present state the replica is known to have, as far
// as the Proof goes.
type provenKey[K comparable] struct {
	key   K
	proof freshness.Proof
}

// NewLookups returns the lookups by two queries that find the same: one, which
// answers gorm.ErrRecordNotFound where nothing is, and many, which leaves that out.
func NewLookups[K comparable, V any](s *Shard, one func(*gorm.DB, K) (V, error), many func(*gorm.DB, []K) (map[K]V, error)) *Lookups[K, V] {
	l := &Lookups[K, V]{shard: s, one: one, many: many}
	l.primary = &batcher[K, V]{gate: s.primaryGate, tasks: s.primaryGate.tasks, together: l.askPrimary}
	if s.Replica != nil {
		l.replica = &batcher[provenKey[K], V]{gate: s.replicaGate, tasks: s.replicaGate.tasks, together: l.askReplica}
	}
	return l
}

// Copied has the Router's cache, if it has one, keep copies of the records. The
// kind names them and the version of their form, on which all who read them must agree.
func (l *Lookups[K, V]) Copied(kind string) *Lookups[K, V] {
	l.copies = newCopies[V](l.shard, kind)
	return l
}

// Get reads what is stored under the key, also given in its canonical form, as
// Shard.Read does, or a copy that is as good.
func (l *Lookups[K, V]) Get(ctx context.Context, canonical string, key K) (V, error) {
	if l.copies == nil {
		return l.ask(ctx, canonical, key)
	}
	present, ok := l.copies.present(ctx, canonical)
	if !ok {
		return l.ask(ctx, canonical, key)
	}
	if v, ok := l.copies.get(ctx, canonical, present); ok {
		requestlog.From(ctx).Served(l.shard.Name, fromCache)
		return v, nil
	}
	v, err := l.ask(ctx, canonical, key)
	if err == nil {
		l.copies.put(canonical, present, v)
	}
	return v, err
}

func (l *Lookups[K, V]) ask(ctx context.Context, canonical string, key K) (v V, err error) {
	err = l.shard.read(ctx, canonical, l.question(key, &v))
	return v, err
}

// question asks for the key, and tells v.
func (l *Lookups[K, V]) question(key K, v *V) question {
	alone := func(db *gorm.DB) (err error) {
		*v, err = l.one(db, key)
		return err
	}
	return question{
		primary: func(ctx context.Context) (err error) {
			*v, err = l.primary.do(ctx, key, func(ctx context.Context) (V, error) {
				err := l.shard.primaryGate.through(ctx, l.shard.Primary, alone)
				return *v, err
			})
			return err
		},
		replica: func(ctx context.Context, proof *freshness.Proof) (err error) {
			*v, err = l.replica.do(ctx, provenKey[K]{key, *proof}, func(ctx context.Context) (V, error) {
				err := l.shard.throughReplica(ctx, l.shard.readTimeout, proof, alone)
				return *v, err
			})
			return err
		},
	}
}

func (l *Lookups[K, V]) askPrimary(ctx context.Context, keys []K) (results []result[V], err error) {
	err = l.shard.primaryGate.pass(ctx, l.shard.Primary, func(db *gorm.DB) error {
		found, err := l.many(db, keys)
		results = make([]result[V], 0, len(keys))
		for _, key := range keys {
			results = append(results, resultOf(found, key))
		}
		return err
	})
	return results, err
}

func (l *Lookups[K, V]) askReplica(ctx context.Context, asked []provenKey[K]) (results []result[V], err error) {
	err = l.shard.replicaGate.within(ctx, l.shard.readTimeout, func(ctx context.Context) error {
		return l.shard.replicaGate.pass(ctx, l.shard.Replica, func(db *gorm.DB) error {
			replica, err := leads(db)
			if err != nil {
				return err
			}
			keys := make([]K, 0, len(asked))
			for _, a := range asked {
				if a.proof.Allows(replica) {
					keys = append(keys, a.key)
				}
			}
			var found map[K]V
			if len(keys) > 0 {
				found, err = l.many(db, keys)
			}
			results = make([]result[V], 0, len(asked))
			for _, a := range asked {
				if a.proof.Allows(replica) {
					results = append(results, resultOf(found, a.key))
				} else {
					results = append(results, result[V]{err: errReborn})
				}
			}
			return err
		})
	})
	return results, err
}

func resultOf[K comparable, V any](found map[K]V, key K) (r result[V]) {
	var ok bool
	if r.out, ok = found[key]; !ok {
		r.err = gorm.ErrRecordNotFound
	}
	return r
}
