package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// down stops everything, the API first and the primaries last; data stays.
func (c *cluster) down(ctx context.Context) error {
	pid := c.supervisorPID(ctx)
	if pid == 0 {
		if err := c.stopStrays(ctx); err != nil {
			return err
		}
		c.out.say("stopped    nothing runs")
		return nil
	}
	return c.out.step("stopping", "stopped", "the API, poolers, replicas, primaries", func() error {
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
	for _, name := range []string{"data", "conf", "log", "run", "shards", "lock"} {
		if err := os.RemoveAll(c.path(name)); err != nil {
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

// errNotRunning is what restart and rebuild say without an API.
var errNotRunning = errors.New("the API does not run: start it with `make dev`")

// restart stops the API, which finishes what is in flight, and starts it anew
// with the settings as they are now.
func (c *cluster) restart(ctx context.Context) error {
	running, err := c.running(ctx)
	if err != nil {
		return err
	}
	if _, ok := running[apiName]; !ok {
		return errNotRunning
	}
	return c.out.step("restarting", "restarted", "the API", func() error {
		if err := c.findPostgres(ctx); err != nil {
			return err
		}
		changed, err := c.writeFiles(true)
		if err != nil {
			return err
		}
		if changed { // supervisord restarts what the change is about
			if err := c.startSupervisor(ctx, changed); err != nil {
				return err
			}
			if err := c.start(ctx, apiName); err != nil {
				return err
			}
		} else if said, err := c.supervisorctl(ctx, "restart", apiName); err != nil {
			return fmt.Errorf("supervisorctl restart: %w: %s", err, said)
		}
		return c.apiReady(ctx)
	})
}

// rebuild is restart with a binary built first, so that a compile error leaves
// the running API alone.
func (c *cluster) rebuild(ctx context.Context) error {
	if err := c.out.step("building", "built", "the API", func() error { return c.build(ctx) }); err != nil {
		return err
	}
	return c.restart(ctx)
}
