package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"
)

// readyTimeout is how long one group of processes may take to become ready. A
// database that crashed replays its log first.
const readyTimeout = 90 * time.Second

// await repeats check until it is true or the time is over, and then says what
// was wrong last, with the end of the process's log.
func (c *cluster) await(ctx context.Context, name string, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for {
		attempt, cancel := context.WithTimeout(ctx, connectTimeout)
		err := check(attempt)
		cancel()
		if err == nil {
			return nil
		}
		var final finalError
		if errors.As(err, &final) {
			return fmt.Errorf("%s: %w", name, err)
		}
		if pause(ctx) != nil {
			return fmt.Errorf("%s is not ready after %s: %w\n%s", name, readyTimeout, err, c.keeper.logEnd(name))
		}
	}
}

// finalError is one that waiting does not mend.
type finalError struct{ error }

// awaitAll awaits several at once.
func awaitAll[T any](ctx context.Context, list []T, ready func(context.Context, T) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, item := range list {
		g.Go(func() error { return ready(ctx, item) })
	}
	return g.Wait()
}

// primaryReady holds when the server that answers is the one whose data folder
// we own, and takes writes.
func (c *cluster) primaryReady(ctx context.Context, i instance) error {
	return c.await(ctx, i.name, func(ctx context.Context) error {
		recovering, _, err := c.identify(ctx, i)
		if err == nil && recovering {
			err = finalError{errors.New("is in recovery, so it is no primary: was it turned into a standby by hand?")}
		}
		return err
	})
}

// replicaReady holds when a replica of our primary follows it.
func (c *cluster) replicaReady(ctx context.Context, i instance) error {
	return c.await(ctx, i.name, func(ctx context.Context) error {
		recovering, streaming, err := c.identify(ctx, i)
		switch {
		case err != nil:
			return err
		case !recovering:
			return finalError{errors.New("takes writes, so it is no replica: stop it (make down), remove " + c.dataDir(i) + " and run make up, which clones it anew")}
		case !streaming:
			return errors.New("does not follow its primary yet")
		}
		return nil
	})
}

// identify asks a server who it is and compares that with its data folder.
func (c *cluster) identify(ctx context.Context, i instance) (recovering, streaming bool, err error) {
	want, err := systemIdentifier(c.dataDir(i))
	if err != nil {
		return false, false, finalError{err}
	}
	conn, err := c.connect(ctx, i.addr)
	if err != nil {
		return false, false, c.explainConnect(err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var got uint64
	var dir string
	err = conn.QueryRow(ctx, `SELECT system_identifier::text::numeric, current_setting('data_directory'), pg_is_in_recovery(),
		EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming') FROM pg_control_system()`).Scan(&got, &dir, &recovering, &streaming)
	if err != nil {
		return false, false, err
	}
	if there := c.keeper.serverDir(i); got != want || dir != there {
		return false, false, finalError{fmt.Errorf("another PostgreSQL answers at %s (system identifier %d in %s; ours is %d in %s): stop it, or give this shard another port (SHARD_%d_…_ADDR)",
			i.addr, got, dir, want, there, i.shard)}
	}
	return recovering, streaming, nil
}

// explainConnect tells a wrong password from a server that is not there yet.
func (c *cluster) explainConnect(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "28P01" {
		return finalError{fmt.Errorf("refuses the password in .env.secrets: the data in %s was made with another file; bring that one back, or remove the data with `make down-clean`", c.dir)}
	}
	return err
}

// poolerReady holds when the server's role reaches the right primary through
// the pooler.
func (c *cluster) poolerReady(ctx context.Context, shard int) error {
	name := poolerName(shard)
	primary := c.primaries()[shard]
	return c.await(ctx, name, func(ctx context.Context) error {
		conn, err := c.connectAs(ctx, c.cfg.Shards[shard].Pooler, c.cfg.Shards[shard].Database, c.cfg.DBUser, string(c.cfg.DBPassword))
		if err != nil {
			return err
		}
		defer conn.Close(context.WithoutCancel(ctx))
		var got string
		if err := conn.QueryRow(ctx, `SELECT current_setting('cluster_name')`).Scan(&got); err != nil {
			return err
		}
		if got != primary.name {
			return finalError{fmt.Errorf("leads to %q instead of %s", got, primary.name)}
		}
		return nil
	})
}

// redisReady holds when the Redis that answers is our process.
func (c *cluster) redisReady(ctx context.Context) error {
	return c.await(ctx, redisName, func(ctx context.Context) error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", c.cfg.RedisAddr)
		if err != nil {
			return err
		}
		defer conn.Close()
		if deadline, ok := ctx.Deadline(); ok {
			if err := conn.SetDeadline(deadline); err != nil {
				return err
			}
		}
		if _, err := fmt.Fprint(conn, "CONFIG GET dir\r\n"); err != nil {
			return err
		}
		lines := bufio.NewScanner(conn)
		for range 5 { // *2, $3, dir, $n, the folder
			if !lines.Scan() {
				return fmt.Errorf("no answer to CONFIG GET: %w", lines.Err())
			}
			if strings.HasPrefix(lines.Text(), "-") {
				return finalError{errors.New("another Redis answers at " + c.cfg.RedisAddr + ": stop it, or set REDIS_ADDR to another port")}
			}
		}
		want, err := filepath.EvalSymlinks(c.path("run"))
		if err != nil {
			return finalError{err}
		}
		if lines.Text() != want {
			return finalError{fmt.Errorf("another Redis answers at %s (its folder is %s): stop it, or set REDIS_ADDR to another port", c.cfg.RedisAddr, lines.Text())}
		}
		return nil
	})
}
