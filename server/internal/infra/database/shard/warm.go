package shard

import (
	"context"
	"sync"

	"gorm.io/gorm"
)

// warmConns are made to each server before the first request comes, one after
// the other: logins that are made all at once are all late.
const warmConns = 2

// Warm makes the first connections to every server, so that the first requests
// need not. A server that cannot be reached is left out, and looked for from
// then on: at once if it refuses, else after the time that a request has.
func (r *Router) Warm(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, r.warming)
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
	for made := int64(0); made < min(warmConns, g.open); {
		conn, err := db.Conn(ctx)
		switch {
		case err == nil:
			made++
			defer conn.Close() // back to the pool, when all are there
		case ctx.Err() != nil || !isSlow(err): // else the machine may be busy
			g.suspect(err, false)
			return
		}
	}
}
