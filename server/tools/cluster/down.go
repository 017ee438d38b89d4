package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"syscall"
)

// down stops everything, the API first and the primaries last; data stays.
func (c *cluster) down(ctx context.Context) error {
	if !c.supervises(ctx) {
		if err := c.stopStrays(ctx); err != nil {
			return err
		}
		c.out.say("stopped    nothing runs")
		return nil
	}
	return c.out.step("stopping", "stopped", "the API, poolers, replicas, primaries", func() error {
		said, err := c.supervisorctl(ctx, "pid")
		if err != nil {
			return fmt.Errorf("supervisorctl pid: %w: %s", err, said)
		}
		pid, err := strconv.Atoi(said)
		if err != nil {
			return fmt.Errorf("supervisorctl pid: %w", err)
		}
		if said, err := c.supervisorctl(ctx, "shutdown"); err != nil {
			return fmt.Errorf("supervisorctl shutdown: %w: %s", err, said)
		}
		for syscall.Kill(pid, 0) == nil {
			if err := pause(ctx); err != nil {
				return err
			}
		}
		return c.stopStrays(ctx)
	})
}

// downClean stops everything and removes what this program made in the state
// folder, which may be a folder that holds other things too.
func (c *cluster) downClean(ctx context.Context) error {
	if err := c.down(ctx); err != nil {
		return err
	}
	for _, name := range []string{"data", "conf", "log", "run", "shards", "lock", prometheusName} {
		if err := os.RemoveAll(c.path(name)); err != nil {
			return err
		}
	}
	for i := range c.cfg.Shards {
		if err := os.RemoveAll(c.journal(i)); err != nil {
			return err
		}
	}
	err := os.Remove(c.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTEMPTY) {
		return err
	}
	c.out.say("removed    the data of this project in %s", c.dir)
	return nil
}
