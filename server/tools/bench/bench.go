package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/primaries"
)

// What is measured. Operations are sent as fast as they are answered; the others stand beside them.
const (
	steadyName = "steady" // GET at a constant rate, alone and beside stats
	manyName   = "many"   // GET over very many connections
	cacheName  = "cache"  // GET with the cache on, beside the same without
)

var (
	operations = []string{"get", "post", "put", "list", "deep", "stats"}
	// byOne are also sent over one connection, which has nobody to share an answer or a statement with: so their costs compare.
	byOne = []string{"get", "list", "deep"}
)

func allNames() []string { return append(slices.Clone(operations), steadyName, manyName, cacheName) }

// Who is measured: the API with 2 workers and with the default of 7, the server with nothing behind it, and pgbench.
const (
	api2    = "API, 2 workers"
	api7    = "API, 7 workers"
	cached2 = "API, 2 workers, cache"
	null2   = "null, 2 workers"
	pgbench = "pgbench"
)

// bench is one run.
type bench struct {
	cfg         config.Config
	users       int // that must be there
	duration    time.Duration
	rounds      int
	names       []string
	connections []int
	many        int  // connections
	depth       int  // of the deep page
	default7    bool // measure the default of 7 workers, too
	api, null   []string
	out         io.Writer // of progress

	dir     string
	attacks int // so far
	set     *primaries.Set
	meter   *meter
	ceiling *ceiling
	all     []uuid.UUID // users
	sample  []string    // of their ids
	traffic map[string]traffic
	result  *result
}

func (b *bench) run(ctx context.Context) (r *result, err error) {
	if err := b.check(ctx); err != nil {
		return nil, err
	}
	if b.set, err = primaries.Connect(ctx, b.cfg); err != nil {
		return nil, fmt.Errorf("%w\nStart the databases with  make up", err)
	}
	defer b.set.Close()
	if b.meter, err = newMeter(ctx, b.cfg); err != nil {
		return nil, err
	}
	if b.dir, err = os.MkdirTemp("", "messenger-clone-bench-"); err != nil {
		return nil, err
	}
	defer os.RemoveAll(b.dir)
	if b.result, err = newResult(ctx, b); err != nil {
		return nil, err
	}
	if err := b.prepare(ctx); err != nil {
		return nil, errors.Join(err, b.cleanUp(ctx))
	}
	err = b.measureAll(ctx)
	return b.result, errors.Join(err, b.cleanUp(ctx))
}

// check finds what would make the run fail later.
func (b *bench) check(ctx context.Context) error {
	if err := needPrograms(ctx); err != nil {
		return err
	}
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", b.cfg.Addr())
	if err == nil {
		_ = conn.Close()
		return fmt.Errorf("somebody serves at %s. Two servers over the same shards do not know each other's writes, and would share the processors: "+
			"stop it with  make down, start the databases with  make up, and run this again", b.cfg.Addr())
	}
	// What we start inherits it. Beyond the hard limit only root may go.
	need := uint64(b.many + 1000)
	limit := unix.Rlimit{}
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if b.wants(manyName) && limit.Max < need {
		return fmt.Errorf("%d connections need %d file descriptors, this shell allows %d: raise it (ulimit -n), or leave %q out of ONLY", b.many, need, limit.Max, manyName)
	}
	limit.Cur = limit.Max
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
}

// prepare makes what is worked on.
func (b *bench) prepare(ctx context.Context) (err error) {
	if err := removeMade(ctx, b.set); err != nil {
		return err
	}
	if b.all, err = ids(ctx, b.set, "true"); err != nil {
		return err
	}
	if len(b.all) < b.users {
		return fmt.Errorf("there are %d users, and ids are to be drawn from %d: run  make seed USERS=%[2]d  first, or say  make bench USERS=%[1]d", len(b.all), b.users)
	}
	b.say("drawing from %d users", len(b.all))
	list := texts(b.all)
	for i := range 50 {
		b.sample = append(b.sample, list[i*len(list)/50])
	}
	b.traffic = map[string]traffic{
		"post":  {method: "POST", path: usersPath},
		"list":  {method: "GET", path: fmt.Sprintf("%s?limit=%d", usersPath, pageSize)},
		"stats": {method: "GET", path: "/api/v1/shards/stats"},
	}
	if err := os.WriteFile(b.path("wrk.lua"), wrkScript, 0o600); err != nil {
		return err
	}
	get := traffic{method: "GET", path: usersPath}
	if err := errors.Join(b.draw("get", get, list), b.draw(getAny, get, list), b.draw(getFew, get, few(list))); err != nil {
		return err
	}
	if slices.ContainsFunc(b.names, func(name string) bool { return pgbenchScripts[name] != "" }) {
		b.say("making tables for pgbench")
		b.ceiling, err = newCeiling(ctx, b.cfg, b.set, b.dir)
	}
	return err
}

// draw has requests of an operation draw from the records.
func (b *bench) draw(name string, t traffic, records []string) (err error) {
	t.file = b.path(name + ".records")
	t.length, err = writeRecords(t.file, records)
	b.traffic[name] = t
	return err
}

func (b *bench) path(name string) string { return filepath.Join(b.dir, name) }

// cleanUp leaves the shards as they were found, also after an interrupt.
func (b *bench) cleanUp(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	b.say("removing what was made")
	return errors.Join(removeMade(ctx, b.set), removeTables(ctx, b.set))
}

func (b *bench) measureAll(ctx context.Context) error {
	for round := range b.rounds {
		b.say("round %d of %d", round+1, b.rounds)
		if err := b.round(ctx); err != nil {
			return err
		}
	}
	return nil
}

// round measures everything once with everybody in turn, so that what else happens on the machine meets all alike. No two servers that
// write run at once.
func (b *bench) round(ctx context.Context) error {
	if list := b.wanted(operations...); len(list) > 0 || b.wants(steadyName) {
		delete(b.traffic, "deep") // its cursors are a server's: those of one before lead to the primaries
		err := b.with(ctx, b.null, 2, func(null *server) error {
			return b.withAPI(ctx, 2, noCache, func(api *server) error {
				for _, name := range list {
					if slices.Contains(byOne, name) {
						if err := b.alone(ctx, name, api); err != nil {
							return fmt.Errorf("%s, one connection: %w", name, err)
						}
					}
					for _, connections := range b.connections {
						if err := b.turn(ctx, name, connections, null, api); err != nil {
							return fmt.Errorf("%s, %d connections: %w", name, connections, err)
						}
					}
				}
				if b.wants(steadyName) {
					return b.steady(ctx, api)
				}
				return nil
			})
		})
		if err != nil {
			return err
		}
	}
	if b.wants(cacheName) {
		if err := b.cache(ctx); err != nil {
			return err
		}
	}
	list := b.wanted("get", "post")
	if !b.default7 || len(list) == 0 && !b.wants(manyName) {
		return nil
	}
	return b.withAPI(ctx, 7, noCache, func(api *server) error {
		for _, name := range list {
			for _, connections := range b.connections {
				if err := b.load(ctx, key{name, connections, api7}, api, b.duration); err != nil {
					return err
				}
			}
		}
		if b.wants(manyName) {
			return b.overcrowd(ctx, api)
		}
		return nil
	})
}

func (b *bench) wants(name string) bool { return slices.Contains(b.names, name) }

// wanted are those of the names that somebody asked for.
func (b *bench) wanted(names ...string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !b.wants(name) })
}

// turn is one operation: by pgbench if it is one statement, by nothing if that can be, and by the API.
func (b *bench) turn(ctx context.Context, name string, connections int, null, api *server) error {
	if pgbenchScripts[name] != "" {
		err := b.measure(ctx, key{name, connections, pgbench}, 0, b.duration, func() (measurement, error) {
			return b.ceiling.run(ctx, name, connections, b.duration)
		})
		if err != nil {
			return err
		}
	}
	if name == "get" {
		if err := b.load(ctx, key{name, connections, null2}, null, b.duration); err != nil {
			return err
		}
	}
	if err := b.ready(ctx, name, api); err != nil {
		return err
	}
	return b.load(ctx, key{name, connections, api2}, api, b.duration)
}

// alone is one operation by the API over one connection.
func (b *bench) alone(ctx context.Context, name string, api *server) error {
	if err := b.ready(ctx, name, api); err != nil {
		return err
	}
	return b.load(ctx, key{name, 1, api2}, api, b.duration)
}

// ready makes what requests of an operation draw from, where that takes a server.
func (b *bench) ready(ctx context.Context, name string, api *server) error {
	if _, done := b.traffic[name]; done {
		return nil
	}
	var records []string
	t := traffic{method: "GET", path: fmt.Sprintf("%s?limit=%d&cursor=", usersPath, pageSize)}
	switch name {
	case "deep":
		var err error
		if records, err = b.deepCursors(ctx, api, b.all); err != nil {
			return err
		}
	case "put": // to users of our own: what was there before stays as it is
		m, err := b.attack(ctx, api, b.traffic["post"], 64, b.duration)
		if err != nil {
			return err
		}
		if m.failed > 0 {
			return fmt.Errorf("make users to change: %d of %d POSTs failed", m.failed, m.failed+m.answers)
		}
		list, err := ids(ctx, b.set, "email LIKE $1", made)
		if err != nil {
			return err
		}
		t, records = traffic{method: "PUT", path: usersPath}, texts(list)
	}
	return b.draw(name, t, records)
}

// load has wrk send an operation's requests to a server.
func (b *bench) load(ctx context.Context, k key, s *server, duration time.Duration) error {
	return b.measure(ctx, k, s.cmd.Process.Pid, duration, func() (measurement, error) {
		return b.attack(ctx, s, b.traffic[k.operation], k.connections, duration)
	})
}

// attack has wrk send, under a mark that no attack had before: addresses must be new.
func (b *bench) attack(ctx context.Context, s *server, t traffic, connections int, duration time.Duration) (measurement, error) {
	b.attacks++
	t.mark = fmt.Sprintf("%d-%d", b.result.date.Unix(), b.attacks)
	return attack(ctx, b.path("wrk.lua"), s.url, t, connections, duration)
}

// measure adds to what is done, for so long, what it cost, and keeps it.
func (b *bench) measure(ctx context.Context, k key, pid int, long time.Duration, do func() (measurement, error)) error {
	b.meter.api = pid
	before, err := b.meter.read()
	if err != nil {
		return err
	}
	measured := make(chan struct{})
	var memory uint64
	var memoryErr error
	go func() { // while the connections are open
		defer close(measured)
		if pause(ctx, long*3/4) == nil {
			memory, memoryErr = b.meter.memory()
		}
	}()
	m, err := do()
	<-measured
	if err := errors.Join(err, memoryErr); err != nil {
		return err
	}
	after, err := b.meter.read()
	if err != nil {
		return err
	}
	m.memory, m.cpu = memory, after.minus(before).per(m.answers)
	b.result.add(k, m)
	b.say("  %s", k.line(m))
	return nil
}

// with runs a server for as long as use takes, warmed up.
func (b *bench) with(ctx context.Context, program []string, workers int, use func(*server) error, settings ...string) (err error) {
	s, err := start(ctx, b.dir, program, append(b.cfg.Environ(), settings...), workers)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if _, err := b.attack(ctx, s, b.traffic["get"], 64, time.Second); err != nil {
		return err
	}
	return use(s)
}

// noCache is for REDIS_URL: what a request comes to is measured without, whatever the running system has.
const noCache = ""

// withAPI is with, for the API whose replicas have caught up, with a cache in the Redis at the URL.
func (b *bench) withAPI(ctx context.Context, workers int, redis string, use func(*server) error) error {
	return b.with(ctx, b.api, workers, func(s *server) error {
		if err := s.awaitReplicas(ctx, b.sample); err != nil {
			return err
		}
		return use(s)
	}, "REDIS_URL="+redis)
}

// steady measures GET at half of the rate that was sustained, alone and while somebody asks for the stats.
func (b *bench) steady(ctx context.Context, api *server) error {
	const statsRate = 50 // often enough that the slowest one is not the 99th percentile
	long := 2 * b.duration
	pid, path := api.cmd.Process.Pid, func() string { return usersPath + b.any().String() }
	best := b.result.best("get", api2)
	if best == 0 {
		m, err := b.attack(ctx, api, b.traffic["get"], 64, b.duration)
		if err != nil {
			return err
		}
		best = m.rate
	}
	err := b.measure(ctx, key{steadyAlone, 0, api2}, pid, long, func() (measurement, error) {
		return steady(ctx, api.url, path, best/2, long)
	})
	if err != nil {
		return err
	}
	stats := make(chan error, 1)
	go func() {
		m, err := steady(ctx, api.url, func() string { return b.traffic["stats"].path }, statsRate, long)
		if err == nil {
			b.result.add(key{steadyStats, 0, api2}, m)
		}
		stats <- err
	}()
	return b.measure(ctx, key{steadyBeside, 0, api2}, pid, long, func() (measurement, error) {
		m, err := steady(ctx, api.url, path, best/2, long)
		return m, errors.Join(err, <-stats)
	})
}

// any draws a user.
func (b *bench) any() uuid.UUID { return b.all[rand.IntN(len(b.all))] } //nolint:gosec // nothing is kept secret by it

// overcrowd measures GET over very many connections, after as many as the server is used to.
func (b *bench) overcrowd(ctx context.Context, api *server) error {
	for _, connections := range []int{b.connections[len(b.connections)-1], b.many} {
		if err := b.load(ctx, key{"get", connections, api7}, api, 3*b.duration); err != nil { // to connect takes seconds
			return err
		}
	}
	return nil
}

func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.out, format+"\n", args...) }
