package shard

import (
	"context"
	"sync"
	"time"

	"gorm.io/gorm"
)

const (
	// warmConns are made to each server before the first request comes.
	warmConns = 2
	// warmTimeout is how long the start waits for servers that hang, or a machine
	// that is busy. One that is not there says so at once.
	warmTimeout = 2 * time.Second
)

// Warm makes the first connections to every server, so that the first requests
// need not. A server that cannot be reached is left out, and looked for from
// then on.
func (r *Router) Warm(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, warmTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for _, s := range r.shards {
		wg.Go(func() { s.primaryGate.warm(ctx, s.Primary) })
		if s.Replica != nil {
			wg.Go(func() { s.replicaGate.warm(ctx, s.Replica) })
		}
	}
	wg.Wait()
}

// warm holds each connection until it has all: else it would get one and the same.
func (g *gate) warm(ctx context.Context, pool *gorm.DB) {
	db, err := pool.DB()
	if err != nil {
		return // whoever asks next is told
	}
	for range min(warmConns, g.open) {
		conn, err := db.Conn(ctx)
		if err != nil {
			g.suspect(err, false)
			return
		}
		defer conn.Close() // back to the pool, when all are there
	}
}
