package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// up starts the data tier and returns when all of it is ready.
func (c *cluster) up(ctx context.Context) error {
	if err := c.prepare(ctx); err != nil {
		return err
	}
	if err := c.startData(ctx, false); err != nil {
		return err
	}
	c.table()
	return nil
}

// prepare clears and checks the ground before anything is started.
func (c *cluster) prepare(ctx context.Context) error {
	if err := c.stopStrays(ctx); err != nil {
		return err
	}
	if err := c.preflight(ctx); err != nil {
		return err
	}
	return c.findPostgres(ctx)
}

// startData brings the data tier up; whatever runs already is left alone.
func (c *cluster) startData(ctx context.Context, withAPI bool) error {
	if !withAPI { // keep the API's section when `make up` is typed beside a running `make dev`
		running, err := c.running(ctx)
		if err != nil {
			return err
		}
		_, withAPI = running[apiName]
	}
	changed, err := c.writeFiles(withAPI)
	if err != nil {
		return err
	}
	if err := c.initPrimaries(ctx); err != nil {
		return err
	}
	if err := c.startSupervisor(ctx, changed); err != nil {
		return err
	}
	if err := c.finishFailovers(ctx); err != nil {
		return err
	}
	return c.startGroups(ctx)
}

// initPrimaries makes the data folders that are missing, side by side.
func (c *cluster) initPrimaries(ctx context.Context) error {
	missing := 0
	for _, i := range c.primaries() {
		if _, err := os.Stat(c.dataDir(i)); errors.Is(err, fs.ErrNotExist) {
			missing++
		}
	}
	all := func() error { return awaitAll(ctx, c.primaries(), c.initPrimary) }
	if missing == 0 {
		return all() // checks their version
	}
	if _, err := os.Stat(c.path("shards")); err == nil {
		return fmt.Errorf("%d of %d primaries in %s have lost their data folder: bring it back, promote a replica (make failover SHARD=…), or begin anew with `make down-clean`", missing, len(c.primaries()), c.path("data"))
	}
	return c.out.step("creating", "created", fmt.Sprintf("%d databases in %s", missing, c.path("data")), all)
}

// startGroups starts and awaits the processes in their order.
func (c *cluster) startGroups(ctx context.Context) error {
	primaries, replicas := c.primaries(), c.replicas()
	err := c.out.step("starting", "ready", count(len(primaries), "primary", "primaries"), func() error {
		if err := c.start(ctx, programs(primaries)...); err != nil {
			return err
		}
		return awaitAll(ctx, primaries, func(ctx context.Context, i instance) error {
			if err := c.primaryReady(ctx, i); err != nil {
				return err
			}
			return c.createRoles(ctx, i)
		})
	})
	if err != nil {
		return err
	}
	if len(replicas) > 0 {
		if err := c.cloneMissing(ctx); err != nil {
			return err
		}
		err := c.out.step("starting", "ready", count(len(replicas), "replica", "replicas"), func() error {
			if err := c.start(ctx, programs(replicas)...); err != nil {
				return err
			}
			return awaitAll(ctx, replicas, c.replicaReady)
		})
		if err != nil {
			return err
		}
	}
	err = c.out.step("starting", "ready", count(len(primaries), "PgBouncer", "PgBouncers")+" and Redis", func() error {
		if err := c.startGroup(ctx, "poolers"); err != nil {
			return err
		}
		g, ctx := errgroup.WithContext(ctx)
		for i := range primaries {
			g.Go(func() error { return c.poolerReady(ctx, i) })
		}
		g.Go(func() error { return c.redisReady(ctx) })
		return g.Wait()
	})
	if err != nil {
		return err
	}
	return os.WriteFile(c.path("shards"), fmt.Appendln(nil, len(primaries)), 0o600)
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// cloneMissing clones every replica that has no complete copy of its primary,
// or whose slot no longer keeps the WAL it needs.
func (c *cluster) cloneMissing(ctx context.Context) error {
	var missing []instance
	for _, i := range c.replicas() {
		why, err := c.needsClone(ctx, i)
		if err != nil {
			return fmt.Errorf("%s: %w", i.name, err)
		}
		if why != "" {
			if why != neverCloned {
				c.out.say("%-10s %s again: %s", "cloning", i.name, why)
			}
			missing = append(missing, i)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return c.out.step("cloning", "cloned", count(len(missing), "replica", "replicas")+" from the running primaries", func() error {
		return awaitAll(ctx, missing, func(ctx context.Context, i instance) error {
			if said, err := c.supervisorctl(ctx, "stop", i.program()); err != nil && !strings.Contains(said, "not running") {
				return fmt.Errorf("stop %s: %w: %s", i.name, err, said)
			}
			return c.cloneReplica(ctx, i)
		})
	})
}

const neverCloned = "it has not been made yet"

// needsClone says why a replica must be cloned, "" when it need not.
func (c *cluster) needsClone(ctx context.Context, i instance) (string, error) {
	dir := c.dataDir(i)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return neverCloned, nil
	}
	if err := checkMajor(dir); err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(dir, standbySignal)); err != nil {
		return "its folder has no standby.signal, so it would come up as a primary", nil
	}
	got, err := systemIdentifier(dir)
	if err != nil {
		return "", err
	}
	primary := c.primaries()[i.shard]
	want, err := systemIdentifier(c.dataDir(primary))
	if err != nil {
		return "", err
	}
	if got != want {
		return "it is a copy of another database", nil
	}
	conn, err := c.connect(ctx, primary.addr)
	if err != nil {
		return "", err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var status string
	err = conn.QueryRow(ctx, `SELECT coalesce((SELECT wal_status FROM pg_replication_slots WHERE slot_name = $1), 'missing')`, slotName(i.shard)).Scan(&status)
	if err != nil {
		return "", err
	}
	if status == "lost" || status == "missing" {
		return "its replication slot is " + status, nil
	}
	return "", nil
}

// dev starts everything and returns when /health says ok.
func (c *cluster) dev(ctx context.Context) error {
	if err := c.prepare(ctx); err != nil {
		return err
	}
	running, err := c.running(ctx)
	if err != nil {
		return err
	}
	if _, ours := running[apiName]; !ours {
		if err := checkPort(ctx, "the API", c.cfg.Addr()); err != nil {
			return fmt.Errorf("%w (PORT=…)", err)
		}
	}
	g, both := errgroup.WithContext(ctx) // the compiler works while the databases start
	g.Go(func() error {
		return c.out.step("building", "built", "the API and Air", func() error { return c.build(both) })
	})
	g.Go(func() error { return c.startData(both, true) })
	if err := g.Wait(); err != nil {
		return err
	}
	if err := c.migrate(ctx); err != nil {
		return err
	}
	err = c.out.step("starting", "ready", fmt.Sprintf("the API with %s", count(c.cfg.Workers, "worker", "workers")), func() error {
		if err := c.start(ctx, apiName); err != nil {
			return err
		}
		return c.apiReady(ctx)
	})
	if err != nil {
		return err
	}
	c.table()
	return nil
}

// build compiles the API and Air in the foreground, so that a compile error is
// seen here and Air finds everything in the build cache.
func (c *cluster) build(ctx context.Context) error {
	server := filepath.Join(c.root, "server")
	for _, args := range [][]string{
		{"build", "-modfile=tools/air.mod", "-o", filepath.Join(c.root, ".build", "air"), "github.com/air-verse/air"},
		{"build", "-o", filepath.Join(server, "tmp", "api"), "./cmd/api"},
	} {
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir, cmd.Env = server, c.processEnv()
		if said, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, said)
		}
	}
	return nil
}

func (c *cluster) migrate(ctx context.Context) error {
	return c.out.step("migrating", "migrated", count(len(c.cfg.Shards), "shard", "shards"), func() error {
		cmd := exec.CommandContext(ctx, filepath.Join(c.root, ".build", "migration"), "up")
		cmd.Dir, cmd.Env = filepath.Join(c.root, "server"), append(os.Environ(), c.cfg.Environ()...)
		said, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("migration up: %w\n%s", err, said)
		}
		return nil
	})
}

// apiReady waits until /health says ok, at most START_TIMEOUT (default 2 minutes).
func (c *cluster) apiReady(ctx context.Context) error {
	timeout := 2 * time.Minute
	if text := c.env["START_TIMEOUT"]; text != "" {
		var err error
		if timeout, err = time.ParseDuration(text); err != nil {
			return fmt.Errorf("START_TIMEOUT is %q: want a duration such as 2m", text)
		}
	}
	waiting, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		status, err := c.health(waiting)
		if err == nil && status == "ok" {
			return nil
		}
		if pause(waiting) != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				status = err.Error()
			}
			return fmt.Errorf("the API was not healthy within %s (%s). The end of its log (make logs):\n%s", timeout, status, c.logTail(apiName))
		}
	}
}

func (c *cluster) health(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url("/health"), nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var health struct{ Status string }
	if err := json.NewDecoder(response.Body).Decode(&health); err != nil {
		return "", fmt.Errorf("%s: status %d: %w", request.URL, response.StatusCode, err)
	}
	return health.Status, nil
}
