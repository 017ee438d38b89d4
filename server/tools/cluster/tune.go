package main

import (
	"context"
	"fmt"
	"time"
)

// reloadTimeout is how long an instance may take to read its files.
const reloadTimeout = 30 * time.Second

// reload has every instance read its configuration again, and returns when they have: a server tells its processes some time later.
func (c *cluster) reload(ctx context.Context) error {
	if err := c.copyShared(); err != nil {
		return err
	}
	return awaitAll(ctx, c.instances(), func(ctx context.Context, i instance) error {
		if err := c.reloadOne(ctx, i); err != nil {
			return fmt.Errorf("%s: %w", i.name, err)
		}
		return nil
	})
}

func (c *cluster) reloadOne(ctx context.Context, i instance) error {
	ctx, cancel := context.WithTimeout(ctx, reloadTimeout)
	defer cancel()
	var before time.Time
	if err := c.askOne(ctx, i, "SELECT clock_timestamp()", &before); err != nil {
		return err
	}
	var told bool
	if err := c.askOne(ctx, i, "SELECT pg_reload_conf()", &told); err != nil {
		return err
	}
	for done := false; !done; {
		// A connection shows what the server had read when it was made.
		if err := c.askOne(ctx, i, "SELECT pg_conf_load_time() >= $1", &done, before); err != nil {
			return err
		}
		if !done && pause(ctx) != nil {
			break // a file that cannot be read as one is not loaded
		}
	}
	var wrong string
	if err := c.askOne(context.WithoutCancel(ctx), i, fileErrors, &wrong); err != nil {
		return err
	}
	if wrong != "" {
		return fmt.Errorf("it does not take everything, and would not start again: %s", wrong)
	}
	return ctx.Err()
}

// fileErrors tells what is wrong in the files. What waits for a restart is listed as an error there, too.
const fileErrors = `SELECT coalesce(string_agg(concat_ws(': ', sourcefile || ':' || sourceline, name || ' = ' || setting, error), '; '), '')
	FROM pg_file_settings f
	WHERE error NOT LIKE '%without restarting the server' AND NOT EXISTS (SELECT FROM pg_settings s WHERE s.name = f.name AND pending_restart)`

// askOne asks an instance, over a connection of its own.
func (c *cluster) askOne(ctx context.Context, i instance, sql string, answer any, args ...any) error {
	conn, err := c.connect(ctx, i.addr)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return conn.QueryRow(ctx, sql, args...).Scan(answer)
}

// restartDatabases restarts those with settings that wait for it, one after the other, each when the one before is ready, so that never more
// than one is away. Which kind comes first matters to a standby: it refuses to run with less of some settings than its primary has had (manual 27.4.3).
func (c *cluster) restartDatabases(ctx context.Context, replicasFirst bool) error {
	list := append(c.primaries(), c.replicas()...)
	if replicasFirst {
		list = append(c.replicas(), c.primaries()...)
	}
	for _, i := range list {
		var pending bool
		if err := c.askOne(ctx, i, "SELECT EXISTS (SELECT FROM pg_settings WHERE pending_restart)", &pending); err != nil {
			return fmt.Errorf("%s: %w", i.name, err)
		}
		if !pending {
			continue
		}
		ready := c.primaryReady
		if i.replica {
			ready = c.replicaReady
		}
		err := c.out.step("restarting", "restarted", i.name, func() error {
			if said, err := c.supervisorctl(ctx, "restart", i.program()); err != nil {
				return fmt.Errorf("restart %s: %w: %s", i.name, err, said)
			}
			return ready(ctx, i)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
