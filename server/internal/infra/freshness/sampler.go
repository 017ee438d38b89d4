package freshness

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// interval is how often a shard is sampled. A key that was written is read
	// from the primary for about as long.
	interval = 200 * time.Millisecond
	// leaseInterval is how often the lease is kept, or asked for.
	leaseInterval = 100 * time.Millisecond
)

// Shard says where the servers of a shard are.
type Shard struct {
	Name    string
	Primary *pgx.ConnConfig // the way writes go: through the pooler
	Replica *pgx.ConnConfig // the way to whichever server is a replica; nil when the shard has none
}

// Sampler proves, while its process holds the lease, how far replicas are.
type Sampler struct {
	table  *Table
	shards []Shard
	log    *slog.Logger
	leads  atomic.Bool
}

// NewSampler returns a Sampler of the table's shards, in the table's order.
func NewSampler(table *Table, shards []Shard, log *slog.Logger) *Sampler {
	return &Sampler{table: table, shards: shards, log: log}
}

// Leads tells whether this process holds the lease: what a server needs done
// once, however many workers it has, may be done here.
func (s *Sampler) Leads() bool { return s.leads.Load() }

// Run samples whenever no other process does, until ctx is done.
func (s *Sampler) Run(ctx context.Context) {
	lease := s.table.NewLease()
	defer lease.Release()
	tick := time.NewTicker(leaseInterval)
	defer tick.Stop()

	var stop func()
	for {
		switch held := lease.Keep(); {
		case held && stop == nil:
			stop = s.lead(ctx)
		case !held && stop != nil:
			stop()
			stop = nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			if stop != nil {
				stop()
			}
			return
		}
	}
}

// lead starts to sample every shard.
func (s *Sampler) lead(ctx context.Context) (stop func()) {
	s.log.Debug("sampling replicas")
	s.leads.Store(true)
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for i, shard := range s.shards {
		w := &watch{
			table: s.table, shard: i, log: s.log.With("shard", shard.Name), news: make(chan struct{}, 1),
			primary: link{config: shard.Primary, mode: pgx.QueryExecModeSimpleProtocol}, // a pooler keeps nothing prepared
			replica: link{config: shard.Replica, mode: pgx.QueryExecModeCacheStatement},
		}
		wg.Go(func() { w.watchPrimary(ctx) })
		if shard.Replica != nil {
			wg.Go(func() { w.watchReplica(ctx) })
		}
	}
	return func() {
		s.leads.Store(false)
		cancel()
		wg.Wait()
	}
}
