package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	gopsutil "github.com/shirou/gopsutil/v4/process"

	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/terminal"
)

// service is a line of `make ps`.
type service struct {
	name, role, addr string
	state            string // of its process; if that runs, what the database says of itself
	pid              int    // 0: none
	uptime           time.Duration
	position         int64 // in the log, up to which a database has written or replayed it; 0: nobody knows
	lag              int64 // bytes that a replica has still to replay
	lags             bool  // lag is known
}

// States that a database may be in beside those of its process.
const (
	stateStreaming = "streaming"
	stateBehind    = "not-streaming"
	stateSilent    = "silent" // it does not answer
)

// ps lists every service: its role, its state, where it listens and how long it has run. Databases are asked, all at once: one that hangs
// takes its time.
func (c *cluster) ps(ctx context.Context, screen *terminal.Screen) error {
	list, err := c.services(ctx)
	if err != nil {
		return err
	}
	if list == nil {
		_, err := fmt.Fprintln(screen, "Nothing runs. `make dev` starts everything.")
		return err
	}
	return terminal.Table(screen, list, []terminal.Column[service]{
		{Name: "SERVICE", Value: func(s service) string { return s.name }},
		{Name: "ROLE", Value: func(s service) string { return s.role }},
		{Name: "STATE", Value: func(s service) string { return s.state }, Head: "STATE", Show: func(s service) string {
			switch s.state {
			case "running", stateStreaming:
				return screen.Good("● " + s.state)
			case "stopped":
				return screen.Faint("○ " + s.state)
			case "starting":
				return screen.Warning("◐ " + s.state)
			}
			return screen.Bad("✗ " + s.state)
		}},
		{
			Name: "LAG_BYTES", Right: true,
			Value: func(s service) string {
				if !s.lags {
					return ""
				}
				return strconv.FormatInt(s.lag, 10)
			},
			Head: "LAG",
			Show: func(s service) string {
				const notable = 16 << 20 // a segment of the log
				switch {
				case !s.lags:
					return ""
				case s.lag > notable:
					return screen.Warning(terminal.Bytes(uint64(s.lag)))
				}
				return terminal.Bytes(uint64(s.lag))
			},
		},
		{Name: "ADDRESS", Value: func(s service) string { return s.addr }},
		{Name: "PID", Right: true, Spare: 1, Value: func(s service) string { return orNothing(s, strconv.Itoa(s.pid)) }},
		{
			Name: "UPTIME_S", Right: true, Value: func(s service) string { return orNothing(s, strconv.Itoa(int(s.uptime/time.Second))) },
			Head: "UP", Show: func(s service) string { return orNothing(s, terminal.Age(s.uptime)) },
		},
	})
}

// orNothing is a text about a process, where there is one.
func orNothing(s service, text string) string {
	if s.pid == 0 {
		return ""
	}
	return text
}

// services are all that there should be, nil when nothing runs.
func (c *cluster) services(ctx context.Context) ([]service, error) {
	list, err := c.processes(ctx)
	if err != nil || list == nil {
		return nil, err
	}
	processes := make(map[string]process)
	for _, p := range list {
		processes[p.program()] = p
	}
	addrs := c.addrs()
	addrs[apiName], addrs[prometheusName] = c.cfg.Addr(), c.prometheusAddr()
	names := append(c.names(), apiName)
	if _, known := processes[prometheusName]; known {
		names = append(names, prometheusName)
	}
	roles := c.roles()
	all := make([]service, len(names))
	for n, name := range names {
		all[n] = service{name: name, role: roles[name], addr: addrs[name], state: "stopped"}
		if p, known := processes[name]; known {
			all[n].state, all[n].pid, all[n].uptime = strings.ToLower(p.state), p.pid, age(ctx, p.pid)
		}
	}
	var asked sync.WaitGroup
	databases := c.instances() // the first of the names
	for n, i := range databases {
		if all[n].pid != 0 {
			asked.Go(func() { all[n].role, all[n].state, all[n].position = c.look(ctx, i, all[n]) })
		}
	}
	asked.Wait()
	written := make(map[int]int64) // by shard
	for n, i := range databases {
		if all[n].role == rolePrimary {
			written[i.shard] = all[n].position
		}
	}
	for n, i := range databases {
		if s := &all[n]; s.role == roleReplica && s.position > 0 && written[i.shard] > 0 {
			s.lag, s.lags = max(0, written[i.shard]-s.position), true
		}
	}
	return all, nil
}

// look asks a database for its role, for how it is, and how far in the log it has come.
func (c *cluster) look(ctx context.Context, i instance, s service) (role, state string, position int64) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	recovering, streaming, err := c.identify(ctx, i)
	if err != nil {
		return s.role, stateSilent, 0
	}
	role, state = rolePrimary, s.state
	if recovering {
		role, state = roleReplica, stateBehind
	}
	if recovering && streaming {
		state = stateStreaming
	}
	conn, err := c.connect(ctx, i.addr)
	if err != nil {
		return role, stateSilent, 0
	}
	defer conn.Close(context.WithoutCancel(ctx))
	err = conn.QueryRow(ctx, `SELECT coalesce(pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, '0/0'), 0)::bigint`).
		Scan(&position)
	if err != nil {
		return role, stateSilent, 0
	}
	return role, state, position
}

const (
	rolePrimary = "primary"
	roleReplica = "replica"
)

// roles is what each service is; of the databases, by their folders.
func (c *cluster) roles() map[string]string {
	roles := map[string]string{apiName: "api", redisName: "cache", prometheusName: "monitoring"}
	for i := range c.cfg.Shards {
		roles[poolerName(i)] = "pooler"
	}
	for _, i := range c.primaries() {
		roles[i.name] = rolePrimary
	}
	for _, i := range c.replicas() {
		roles[i.name] = roleReplica
	}
	return roles
}

// age is how long a process has run, 0 if it does not.
func age(ctx context.Context, pid int) time.Duration {
	p, err := gopsutil.NewProcessWithContext(ctx, int32(pid))
	if err != nil {
		return 0
	}
	milliseconds, err := p.CreateTimeWithContext(ctx)
	if err != nil {
		return 0
	}
	return time.Since(time.UnixMilli(milliseconds))
}
