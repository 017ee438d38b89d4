// Package lookout looks at every database and pooler of every shard twice a second,
// each over one connection of its own, and tells Prometheus what it found last. So
// nobody who asks waits for a database, and no database is asked more often by many.
package lookout

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// interval is how often each is looked at, and patience how long the answer may
	// take: together less than the two seconds in which a fault is to be shown.
	interval = 500 * time.Millisecond
	patience = time.Second
	// loginPatience is how long a login may take, which is more work. What was found
	// before counts meanwhile.
	loginPatience = 2 * time.Second
)

// Shard says where a shard's servers are.
type Shard struct {
	Name    string
	Pooler  *pgx.ConnConfig // its console
	Servers []Server
}

// Server is a database of a shard. What it is now, primary or replica, it is asked.
type Server struct {
	Name   string // as make ps has it
	Config *pgx.ConnConfig
}

// Lookout holds what was found last.
type Lookout struct {
	shards  []Shard
	servers [][]*target[serverFound] // by shard
	poolers []*target[poolerFound]
}

// New returns a Lookout that has seen nothing yet.
func New(shards []Shard) *Lookout {
	l := &Lookout{shards: shards}
	for _, s := range shards {
		var servers []*target[serverFound]
		for _, server := range s.Servers {
			servers = append(servers, &target[serverFound]{config: server.Config, ask: askServer(s.Name)})
		}
		l.servers = append(l.servers, servers)
		l.poolers = append(l.poolers, &target[poolerFound]{config: s.Pooler, ask: askPooler})
	}
	return l
}

// Run looks until ctx is done. It calls changed whenever somebody is found to have
// gone away or come back.
func (l *Lookout) Run(ctx context.Context, changed func()) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for i, servers := range l.servers {
		for _, t := range servers {
			wg.Go(func() { t.run(ctx, changed) })
		}
		wg.Go(func() { l.poolers[i].run(ctx, changed) })
	}
}

// Unserved names the shards of which no database answers.
func (l *Lookout) Unserved() (names []string) {
	for i, s := range l.shards {
		up := false
		for _, t := range l.servers[i] {
			found := t.found.Load()
			up = up || found == nil || found.up // until it was looked at, nobody knows
		}
		if !up {
			names = append(names, s.Name)
		}
	}
	return names
}

// found is the outcome of a look.
type found[F any] struct {
	up   bool
	what F
}

// target is somebody to look at.
type target[F any] struct {
	config *pgx.ConnConfig
	ask    func(context.Context, *pgx.Conn) (F, error)
	conn   *pgx.Conn
	found  atomic.Pointer[found[F]] // nil before the first look
}

func (t *target[F]) run(ctx context.Context, changed func()) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	defer t.close()
	for {
		what, err := t.look(ctx)
		if ctx.Err() != nil {
			return
		}
		now := &found[F]{err == nil, what}
		if before := t.found.Swap(now); before == nil || before.up != now.up {
			changed()
		}
		if err != nil {
			t.close()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (t *target[F]) look(ctx context.Context) (what F, err error) {
	if t.conn == nil {
		if t.conn, err = t.login(ctx); err != nil {
			t.conn = nil
			return what, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return t.ask(ctx, t.conn)
}

func (t *target[F]) login(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, loginPatience)
	defer cancel()
	config := t.config.Copy()
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol // a console knows no other
	return pgx.ConnectConfig(ctx, config)
}

func (t *target[F]) close() {
	if t.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_ = t.conn.Close(ctx) // it may be gone already
	t.conn = nil
}
