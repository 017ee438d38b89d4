package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// withoutAPI runs a command beside the data tier, which must run, and keeps the API stopped for as long: it is started again if it ran.
func (c *cluster) withoutAPI(ctx context.Context, args []string) (err error) {
	running, err := c.running(ctx)
	if err != nil {
		return err
	}
	var missing []string
	for _, name := range c.names() {
		if _, ok := running[name]; !ok {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("not running: %s. Start the databases with `make up`", strings.Join(missing, ", "))
	}
	if _, ok := running[apiName]; ok {
		err := c.out.step("stopping", "stopped", "the API, for as long as this takes", func() error {
			if said, err := c.supervisorctl(ctx, "stop", apiName); err != nil {
				return fmt.Errorf("supervisorctl stop: %w: %s", err, said)
			}
			return nil
		})
		if err != nil {
			return err
		}
		defer func() {
			ctx := context.WithoutCancel(ctx)
			err = errors.Join(err, c.out.step("starting", "ready", "the API again", func() error {
				if err := c.start(ctx, apiName); err != nil {
					return err
				}
				return c.apiReady(ctx)
			}))
		}()
	}
	return runCommand(ctx, args)
}
