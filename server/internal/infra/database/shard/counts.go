package shard

import (
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/freshness"
)

// Counts returns what any of the server's processes has counted last, and how
// long ago that was begun.
func (r *Router) Counts() (counts entities.ShardCounts, age time.Duration, ok bool) {
	list, begun, age, ok := r.table.LastCounts()
	if !ok {
		return entities.ShardCounts{}, 0, false
	}
	counts.CountedAt = begun.UTC()
	for i, c := range list {
		from := fromReplica
		if c.Primary {
			from = fromPrimary
		}
		counts.Shards = append(counts.Shards, entities.ShardCount{Shard: r.shards[i].Name, Users: c.N, Server: from})
	}
	return counts, age, true
}

// KeepCounts keeps for all processes what was counted of every shard.
func (r *Router) KeepCounts(counts entities.ShardCounts) {
	list := make([]freshness.Count, 0, len(counts.Shards))
	for _, c := range counts.Shards {
		list = append(list, freshness.Count{N: c.Users, Primary: c.Server == fromPrimary})
	}
	r.table.KeepCounts(list, counts.CountedAt)
}

// MayCount tells one process at a time that it may count.
func (r *Router) MayCount(within time.Duration) bool { return r.table.MayCount(within) }

// HasFailed lets another process count at once.
func (r *Router) HasFailed() { r.table.GiveUpCounting() }
