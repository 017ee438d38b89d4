package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"

	"github.com/prometheus/procfs"
	gopsutil "github.com/shirou/gopsutil/v4/net"

	"github.com/messenger-clone/messenger-clone-api/server/config"
)

// ticks is the unit of times in /proc: 1/100 s on every Linux that Go runs on.
const ticks = 100

// cpu is the processor time that somebody has used, in seconds.
type cpu struct{ api, postgres, pooler, redis, load float64 }

func (c cpu) minus(o cpu) cpu {
	// Each is told in whole ticks, so that nothing may seem less than nothing.
	return cpu{max(0, c.api-o.api), max(0, c.postgres-o.postgres), max(0, c.pooler-o.pooler), max(0, c.redis-o.redis), max(0, c.load-o.load)}
}

// meter reads what processes use. Each has descendants, which count as its own.
type meter struct {
	proc              procfs.FS
	postgres, poolers []int // process ids
	redis             int
	api               int // 0 for none
	parents           map[int]int
	times             map[int]float64
}

// newMeter finds the databases and poolers by where they listen.
func newMeter(ctx context.Context, cfg config.Config) (*meter, error) {
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		return nil, fmt.Errorf("this needs Linux's /proc: %w", err)
	}
	m := &meter{proc: proc}
	all, err := gopsutil.ConnectionsWithContext(ctx, "tcp")
	if err != nil {
		return nil, err
	}
	find := func(addr string) (int, error) {
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			return 0, err
		}
		for _, c := range all {
			if c.Status == "LISTEN" && strconv.Itoa(int(c.Laddr.Port)) == port && c.Pid > 0 {
				return int(c.Pid), nil
			}
		}
		return 0, fmt.Errorf("nobody whose process may be seen listens at %s:%s: start the databases with  make up  (as root in a container it takes CAP_SYS_PTRACE)", host, port)
	}
	for _, s := range cfg.Shards {
		for _, addr := range s.Servers() {
			pid, err := find(addr)
			if err != nil {
				return nil, err
			}
			m.postgres = append(m.postgres, pid)
		}
		pid, err := find(s.Pooler)
		if err != nil {
			return nil, err
		}
		m.poolers = append(m.poolers, pid)
	}
	m.redis, err = find(cfg.RedisAddr)
	return m, err
}

// read returns what all have used since they were started.
func (m *meter) read() (c cpu, err error) {
	processes, err := m.proc.AllProcs()
	if err != nil {
		return c, err
	}
	m.parents, m.times = make(map[int]int), make(map[int]float64)
	for _, p := range processes {
		stat, err := p.Stat()
		if err != nil {
			continue // it has ended
		}
		m.parents[p.PID] = stat.PPID
		// With those children that have ended, a backend for one.
		m.times[p.PID] = float64(int64(stat.UTime+stat.STime)+int64(stat.CUTime)+int64(stat.CSTime)) / ticks
	}
	for pid, time := range m.times {
		switch root := m.root(pid); {
		case root == 0:
		case root == m.api:
			c.api += time
		case slices.Contains(m.postgres, root):
			c.postgres += time
		case root == m.redis:
			c.redis += time
		default:
			c.pooler += time
		}
	}
	// What wrk and pgbench used is known once they have ended.
	self, err := m.proc.Self()
	if err != nil {
		return c, err
	}
	stat, err := self.Stat()
	c.load = float64(int64(stat.CUTime)+int64(stat.CSTime)) / ticks
	return c, err
}

// root is the one of those watched that a process is or descends from, or 0.
func (m *meter) root(pid int) int {
	for ; pid > 1; pid = m.parents[pid] {
		if pid == m.api || pid == m.redis || slices.Contains(m.postgres, pid) || slices.Contains(m.poolers, pid) {
			return pid
		}
	}
	return 0
}

// memory is what the API's processes have in memory, in bytes; what they share is counted once.
func (m *meter) memory() (sum uint64, err error) {
	if m.api == 0 {
		return 0, nil
	}
	if _, err := m.read(); err != nil {
		return 0, err
	}
	for pid := range m.parents {
		if m.root(pid) != m.api {
			continue
		}
		p, err := m.proc.Proc(pid)
		if err != nil {
			continue
		}
		maps, err := p.ProcSMapsRollup()
		if err != nil {
			continue // it has ended
		}
		sum += maps.Pss
	}
	if sum == 0 {
		return 0, errors.New("the API's processes cannot be found in /proc")
	}
	return sum, nil
}
