package main

import (
	"context"
	"fmt"
)

// reload has every instance that runs read its configuration again.
func (c *cluster) reload(ctx context.Context) error {
	if err := c.copyShared(); err != nil {
		return err
	}
	return awaitAll(ctx, append(c.primaries(), c.replicas()...), func(ctx context.Context, i instance) error {
		conn, err := c.connect(ctx, i.addr)
		if err != nil {
			return fmt.Errorf("%s: %w", i.name, err)
		}
		defer conn.Close(context.WithoutCancel(ctx))
		if _, err := conn.Exec(ctx, "SELECT pg_reload_conf()"); err != nil {
			return fmt.Errorf("%s: %w", i.name, err)
		}
		return nil
	})
}

// restartDatabases restarts them one after the other, each when the one before is ready, so that never more than one is away. Which kind
// comes first matters to a standby: it refuses to run with less of some settings than its primary has had (manual 27.4.3).
func (c *cluster) restartDatabases(ctx context.Context, replicasFirst bool) error {
	list := append(c.primaries(), c.replicas()...)
	if replicasFirst {
		list = append(c.replicas(), c.primaries()...)
	}
	for _, i := range list {
		group, ready := "primaries:", c.primaryReady
		if i.replica {
			group, ready = "replicas:", c.replicaReady
		}
		err := c.out.step("restarting", "restarted", i.name, func() error {
			if said, err := c.supervisorctl(ctx, "restart", group+i.name); err != nil {
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
