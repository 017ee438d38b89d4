package shard

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"

	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/metrics"
)

// Observer is told of everything that is asked of one server. It is called for
// every request, by several goroutines.
type Observer interface {
	// Asked is told what came of a statement, or of a request that was not sent, and how
	// long it took, with the wait for a connection and what was tried before.
	Asked(outcome metrics.Outcome, took time.Duration)
	// Waited is told how long somebody waited for a connection.
	Waited(took time.Duration)
	// Sent is told how many calls a statement carries, alone or together.
	Sent(calls int)
}

// CacheObserver is told of every read that the cache might have answered.
type CacheObserver interface {
	Looked(metrics.CacheLook)
}

type unobserved struct{}

func (unobserved) Asked(metrics.Outcome, time.Duration) {}
func (unobserved) Waited(time.Duration)                 {}
func (unobserved) Sent(int)                             {}
func (unobserved) Looked(metrics.CacheLook)             {}

// outcomeOf sorts what try found.
func outcomeOf(ctx context.Context, err error) metrics.Outcome {
	switch {
	case isAnswer(err):
		return metrics.Answered
	case isReply(err):
		return metrics.Refused
	case errors.Is(err, ErrRefused): // its turn came too late
		return metrics.QueueFull
	case errors.Is(context.Cause(ctx), context.Canceled):
		return metrics.Canceled
	case ctx.Err() != nil:
		return metrics.Late
	default:
		return metrics.Failed
	}
}

// States tells how the servers are as this process sees them.
func (r *Router) States() []metrics.ServerState {
	states := make([]metrics.ServerState, 0, 2*len(r.shards))
	for i, s := range r.shards {
		states = append(states, s.primaryGate.state(i, metrics.Primary, s.Primary))
		if s.Replica != nil {
			states = append(states, s.replicaGate.state(i, metrics.Replica, s.Replica))
		}
	}
	return states
}

func (g *gate) state(shard int, role metrics.Role, pool *gorm.DB) metrics.ServerState {
	state := metrics.ServerState{Shard: shard, Role: role, Shut: g.shut.Load(), Inside: g.inside.Load(), Room: g.queue.size(), Limit: g.open}
	if db, err := pool.DB(); err == nil {
		stats := db.Stats()
		state.Open, state.Busy = int64(stats.OpenConnections), int64(stats.InUse)
	}
	return state
}

// size is how many may be inside, as far as it is known.
func (q *queue) size() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.limit(time.Now())
}
