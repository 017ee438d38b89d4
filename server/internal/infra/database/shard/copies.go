package shard

import (
	"context"
	"fmt"
	"reflect"

	"github.com/bytedance/sonic"

	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/freshness"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/metrics"
)

// fromCache names the cache in answers and logs, as if it were a server of the shard.
const fromCache = "cache"

// Cache keeps texts under keys. It may lose any, and give back old ones: each
// copy of a record says itself what State it is of.
type Cache interface {
	Get(ctx context.Context, key string) (text string, look metrics.CacheLook)
	Put(key, text string)
}

// copies are what a cache has of a shard's records. Absence is not copied: anybody
// can think up keys, and they would take the place of what is asked for.
type copies[V any] struct {
	shard *Shard
	kind  string
}

// cached is a copy of a record as it is kept.
type cached[V any] struct {
	State  freshness.State `json:"state"`
	Key    string          `json:"key"`
	Record V               `json:"record"`
}

// newCopies returns the copies of a kind of record, nil where there is no cache.
func newCopies[V any](s *Shard, kind string) *copies[V] {
	if s.cache == nil {
		return nil
	}
	_ = sonic.Pretouch(reflect.TypeFor[cached[V]]()) // else the first request compiles it
	return &copies[V]{s, kind}
}

// present is the key's present state, where a copy could have it.
func (c *copies[V]) present(ctx context.Context, key string) (s freshness.State, ok bool) {
	if !c.shard.readsPrimary(ctx) {
		s, ok = c.shard.table.Current(c.shard.index, key)
	}
	if !ok {
		c.shard.looks.Looked(metrics.CacheLook{Outcome: metrics.CacheBypassed})
	}
	return s, ok
}

// get returns the copy of a key's record that is at hand, if it has the key's
// present state. Whoever wrote it, when, and what was lost since, says nothing.
func (c *copies[V]) get(ctx context.Context, key string, present freshness.State) (v V, ok bool) {
	text, look := c.shard.cache.Get(ctx, c.name(key, present))
	if look.Found() {
		if v, ok = c.read(text, key); !ok {
			look.Outcome = metrics.CacheStale
		}
	}
	c.shard.looks.Looked(look)
	return v, ok
}

func (c *copies[V]) read(text, key string) (v V, ok bool) {
	var copied cached[V]
	if err := sonic.UnmarshalString(text, &copied); err != nil || copied.Key != key {
		return v, false
	}
	return copied.Record, c.shard.table.Counts(c.shard.index, key, copied.State, c.shard.cacheMaxAge)
}

// put keeps a copy of the record, which a server was asked for when the State
// was the present one.
func (c *copies[V]) put(key string, s freshness.State, record V) {
	text, err := sonic.MarshalString(cached[V]{s, key, record})
	if err == nil {
		c.shard.cache.Put(c.name(key, s), text)
	}
}

// name is the copy's in the cache. Servers that share a Redis and not a table
// cannot use each other's copies, and shall not write over them.
func (c *copies[V]) name(key string, s freshness.State) string {
	return fmt.Sprintf("messenger:%s:%x:%s", c.kind, s.Clock, key)
}
