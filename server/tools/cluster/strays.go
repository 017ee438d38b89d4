package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	ps "github.com/shirou/gopsutil/v4/process"
)

// stopStrays ends processes of ours that outlived their supervisord, which
// happens when that was killed: nothing would start them again or stop them.
func (c *cluster) stopStrays(ctx context.Context) error {
	if c.supervises(ctx) {
		return nil
	}
	said := false
	for {
		strays, err := c.strays(ctx)
		if err != nil || len(strays) == 0 {
			return err
		}
		if !said {
			c.out.say("stopping   %d processes of this project that their supervisord left behind", len(strays))
			said = true
			for _, p := range strays {
				// PostgreSQL's fast shutdown is SIGINT; SIGTERM would wait for its clients.
				signal := syscall.SIGTERM
				if name, _ := p.NameWithContext(ctx); name == "postgres" {
					signal = syscall.SIGINT
				}
				_ = p.SendSignalWithContext(ctx, signal) // it may be gone already
			}
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// strays finds processes by the paths on their command lines; a folder of ours
// in one of them means it was started by us. Redis shows none there, but writes
// down its process. A test's cluster has no API: the one that runs from this
// checkout belongs to `make dev`.
func (c *cluster) strays(ctx context.Context) ([]*ps.Process, error) {
	all, err := ps.ProcessesWithContext(ctx)
	if err != nil {
		return nil, err
	}
	text, _ := os.ReadFile(c.redisPIDFile()) // there is none before the first start
	redis, _ := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 32)
	programs := []string{"postgres", "pgbouncer", "redis-server", "supervisord", prometheusName}
	return slices.DeleteFunc(all, func(p *ps.Process) bool {
		words, err := p.CmdlineSliceWithContext(ctx)
		if err != nil || len(words) == 0 {
			return true
		}
		name, _ := p.NameWithContext(ctx)
		line := strings.Join(words, " ")
		cwd, _ := p.CwdWithContext(ctx)
		ours := slices.Contains(programs, name) && strings.Contains(line, c.dir+"/") ||
			name == "redis-server" && int64(p.Pid) == redis ||
			!c.hold && strings.HasPrefix(line, c.root+"/.build/air") ||
			!c.hold && cwd == filepath.Join(c.root, "server") && strings.Contains(line, "tmp/api")
		return !ours
	}), nil
}
