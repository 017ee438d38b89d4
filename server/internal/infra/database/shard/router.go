package shard

import (
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel/trace"
	"gorm.io/gorm"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/freshness"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/metrics"
)

// Node says where one shard's servers are.
type Node struct {
	Name    string
	Primary *pgx.ConnConfig // its pooler, in fact
	Replica *pgx.ConnConfig // nil when the shard has none
}

// Limits bound what a Router, which is one process's, asks of each shard.
type Limits struct {
	WriteOpen, WriteIdle int // connections to the pooler
	ReadOpen, ReadIdle   int // connections to the replica
	ReadTimeout          time.Duration
	MaxLag               time.Duration // of a replica that is read
	RequestTimeout       time.Duration // of a whole request; 0 is privateLifetime
	Log                  *slog.Logger  // of servers that fail and come back; may be nil
	// Table is shared by all processes that write to these shards for one
	// server. Without one the Router makes its own, which nobody samples: it
	// then reads from primaries only.
	Table *freshness.Table
	// Cache, if set, has copies of records, which count for CacheMaxAge at most.
	Cache         Cache
	CacheMaxAge   time.Duration
	CacheObserver CacheObserver // may be nil
	// Observe returns who is told of what is asked of a server; it may be nil.
	Observe func(shard int, role metrics.Role) Observer
	Tracer  trace.Tracer // of what is asked of servers; nil is none
}

func (l Limits) observer(shard int, role metrics.Role) Observer {
	if l.Observe == nil {
		return unobserved{}
	}
	return l.Observe(shard, role)
}

// Shard is one shard's connections. Everything is written to, and what must be
// fresh is read from, the Primary.
type Shard struct {
	Name    string
	Primary *gorm.DB
	Replica *gorm.DB // nil when the shard has none

	primaryGate *gate
	replicaGate *gate // nil when the shard has none
	index       int
	table       *freshness.Table
	readTimeout time.Duration
	maxLag      time.Duration
	cache       Cache // nil when there is none
	cacheMaxAge time.Duration
	looks       CacheObserver
}

// Router finds the shard for a key. It opens connections when they are needed,
// so a shard that is down does not keep the others from serving.
type Router struct {
	ring   *Ring // nil with a single shard
	shards []*Shard
	byName map[string]*Shard

	table   *freshness.Table
	private bool // the table is the Router's own
	tasks   *tasks
	warming time.Duration // at most, at the start
}

// privateLifetime bounds a write where nobody shares the table.
const privateLifetime = 5 * time.Second

// NewRouter returns a Router over the nodes. The caller closes it, and then the
// table it was given.
func NewRouter(nodes []Node, limits Limits) (*Router, error) {
	r := &Router{byName: make(map[string]*Shard, len(nodes)), tasks: newTasks()}
	if limits.Log == nil {
		limits.Log = slog.New(slog.DiscardHandler)
	}
	if limits.RequestTimeout == 0 {
		limits.RequestTimeout = privateLifetime
	}
	if limits.CacheObserver == nil {
		limits.CacheObserver = unobserved{}
	}
	if limits.Table == nil {
		table, err := freshness.CreatePrivate(len(nodes), privateLifetime)
		if err != nil {
			return nil, err
		}
		r.private, limits.Table = true, table
	}
	r.table, r.warming = limits.Table, limits.RequestTimeout
	names := make([]string, 0, len(nodes))
	for _, node := range nodes {
		names = append(names, node.Name)
	}
	identities, err := Identities(names)
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	guard, answers := &Guard{Epochs: r.table}, new(atomic.Int64)
	for i, node := range nodes {
		s, err := open(node, limits, i, guard.Admit(identities[i]), answers, r.tasks)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", node.Name, err), r.Close())
		}
		r.shards = append(r.shards, s)
		r.byName[node.Name] = s
	}
	if len(nodes) == 1 {
		return r, nil
	}
	ring, err := NewRing(names)
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	r.ring = ring
	return r, nil
}

// For returns the shard that owns the key, given in its canonical form.
func (r *Router) For(key string) *Shard {
	if r.ring == nil {
		return r.shards[0]
	}
	return r.byName[r.ring.Owner(key)]
}

// All returns every shard, in the order of the nodes. Callers only read it.
func (r *Router) All() []*Shard { return r.shards }

// TimeOf is when a Moment that a shard told was by the wall clock, rather too
// early than too late.
func (r *Router) TimeOf(m entities.Moment) time.Time { return r.table.TimeOf(m) }

// NewID draws ids from source until one belongs to the shard that owns the key.
// A row so named and its key then live on one shard, where a unique index on
// the key holds for the whole system. It takes as many draws as there are
// shards, on average.
func (r *Router) NewID(key string, source func() (uuid.UUID, error)) (uuid.UUID, error) {
	owner := r.For(key)
	for {
		id, err := source()
		if err != nil {
			return uuid.Nil, fmt.Errorf("draw an id: %w", err)
		}
		if r.For(id.String()) == owner {
			return id, nil
		}
	}
}

// Close closes every connection.
func (r *Router) Close() error {
	var errs []error
	r.tasks.stop()
	if r.private {
		defer func() { _ = r.table.Close() }() // after the connections
	}
	for _, s := range r.shards {
		for _, db := range []*gorm.DB{s.Primary, s.Replica} {
			if db == nil {
				continue
			}
			pool, err := db.DB()
			if err == nil {
				err = pool.Close()
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: close: %w", s.Name, err))
			}
		}
	}
	return errors.Join(errs...)
}
