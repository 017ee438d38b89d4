package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/primaries"
)

//go:embed pgbench.sql
var pgbenchTables string

// pgbenchScripts do what the server does for one request, by the names of operations.
var pgbenchScripts = map[string]string{
	"get": `\set n random(1, :users)
SELECT id, name, email, created_at, updated_at, version FROM bench.users WHERE n = :n;
`,
	"post": `\set n random(1, 9000000000000000000)
SELECT bench.create_user(:n);
`,
	"put": `\set n random(1, :users)
UPDATE bench.users SET name = 'Bench ' || :n::text, updated_at = now(), version = version + 1 WHERE n = :n
RETURNING id, name, email, created_at, updated_at, version;
`,
}

const (
	// mostClients is as many as pgbench gets: beyond this many its figures only fall.
	mostClients = 450
	// mostOfOne are those of one server, which lets 400 in, the API among them.
	mostOfOne = 300
)

// ceiling is pgbench, over all shards at once.
type ceiling struct {
	cfg     config.Config
	dir     string
	set     *primaries.Set
	replica []string // addresses, by shard
	users   []int64  // of bench.users, by shard
}

func newCeiling(ctx context.Context, cfg config.Config, set *primaries.Set, dir string) (*ceiling, error) {
	c := &ceiling{cfg: cfg, dir: dir, set: set, users: make([]int64, len(cfg.Shards))}
	for i, s := range cfg.Shards {
		replica, err := primaries.Replica(ctx, cfg, i)
		if err != nil || replica == nil {
			return nil, errors.Join(fmt.Errorf("%s has no replica that answers; reads are measured on replicas", s.Name), err)
		}
		to := replica.Config()
		c.replica = append(c.replica, net.JoinHostPort(to.Host, strconv.Itoa(int(to.Port))))
		if err := replica.Close(ctx); err != nil {
			return nil, err
		}
	}
	for name, script := range pgbenchScripts {
		if err := os.WriteFile(c.script(name), []byte(script), 0o600); err != nil {
			return nil, err
		}
	}
	role := pgx.Identifier{cfg.DBUser}.Sanitize()
	g, making := errgroup.WithContext(ctx)
	for i, conn := range set.Conns {
		g.Go(func() error {
			if _, err := conn.Exec(making, strings.ReplaceAll(pgbenchTables, "ROLE", role)); err != nil {
				return fmt.Errorf("%s: make the tables for pgbench: %w", cfg.Shards[i].Name, err)
			}
			if _, err := conn.Exec(making, "VACUUM ANALYZE bench.users"); err != nil {
				return err
			}
			return conn.QueryRow(making, "SELECT count(*) FROM bench.users").Scan(&c.users[i])
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return c, awaitReplay(ctx, cfg, set)
}

// removeTables takes everything away that is for pgbench only.
func removeTables(ctx context.Context, set *primaries.Set) error {
	var errs []error
	for _, conn := range set.Conns {
		_, err := conn.Exec(ctx, "DROP SCHEMA IF EXISTS bench CASCADE")
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// awaitReplay waits until every replica has what its primary has now.
func awaitReplay(ctx context.Context, cfg config.Config, set *primaries.Set) error {
	for i, conn := range set.Conns {
		var written string
		if err := conn.QueryRow(ctx, "SELECT pg_current_wal_lsn()::text").Scan(&written); err != nil {
			return err
		}
		replica, err := primaries.Replica(ctx, cfg, i)
		if err != nil {
			return err
		}
		defer replica.Close(context.WithoutCancel(ctx))
		err = eventually(ctx, starting, func() error {
			var replayed bool
			if err := replica.QueryRow(ctx, "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn", written).Scan(&replayed); err != nil {
				return err
			}
			if !replayed {
				return fmt.Errorf("%s: the replica lags", cfg.Shards[i].Name)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *ceiling) script(name string) string { return filepath.Join(c.dir, name+".pgbench") }

// run has pgbench do the operation's statements with so many clients: reads straight on the replicas, by prepared statements; writes
// through the poolers, which know none.
func (c *ceiling) run(ctx context.Context, name string, clients int, duration time.Duration) (m measurement, err error) {
	clients = min(clients, mostClients, mostOfOne*len(c.cfg.Shards))
	// Its time begins with logging in, which is not counted, but takes hundreds of clients seconds, and longer where the machine is busy.
	duration += time.Duration(clients/100) * time.Second
	for range 4 {
		if m, err = c.try(ctx, name, clients, duration); !errors.Is(err, errNothingDone) {
			break
		}
		duration *= 2
	}
	return m, err
}

// try is one run on all shards at once.
func (c *ceiling) try(ctx context.Context, name string, clients int, duration time.Duration) (m measurement, err error) {
	shards := len(c.cfg.Shards)
	each := make([]measurement, shards)
	g, ctx := errgroup.WithContext(ctx)
	for i, s := range c.cfg.Shards {
		mine := max(1, (clients+shards-1-i)/shards)
		g.Go(func() (err error) {
			if each[i], err = c.one(ctx, name, i, mine, duration); err != nil {
				return fmt.Errorf("%s: pgbench: %w", s.Name, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return m, err
	}
	for _, e := range each {
		m.rate += e.rate
		m.answers += e.answers
		m.failed += e.failed
	}
	return m, nil
}

// one is one run on one shard.
func (c *ceiling) one(ctx context.Context, name string, i, clients int, duration time.Duration) (m measurement, err error) {
	s := c.cfg.Shards[i]
	addr, mode := s.Pooler, "extended"
	if name == "get" {
		addr, mode = c.replica[i], "prepared"
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return m, err
	}
	cmd := exec.CommandContext(ctx, "pgbench", "--no-vacuum", "--protocol", mode, "--client", strconv.Itoa(clients), "--jobs", strconv.Itoa(min(2, clients)),
		"--time", strconv.Itoa(int(duration.Seconds())), "--file", c.script(name), "--define", fmt.Sprintf("users=%d", c.users[i]),
		"--host", host, "--port", port, "--username", c.cfg.DBUser, s.Database)
	cmd.Env = append(os.Environ(), "PGPASSWORD="+c.cfg.DBPassword.Reveal(), "PGSSLMODE="+c.cfg.DBSSLMode, "LC_ALL=C")
	said, err := cmd.CombinedOutput()
	if err != nil {
		return m, fmt.Errorf("%w: %s", err, said)
	}
	return parsePgbench(said)
}

// errNothingDone is of a run that was over before it had begun.
var errNothingDone = errors.New("no statement was done")

var (
	pgbenchRate   = regexp.MustCompile(`(?m)^tps = ([0-9.]+) `)
	pgbenchDone   = regexp.MustCompile(`(?m)^number of transactions actually processed: (\d+)`)
	pgbenchFailed = regexp.MustCompile(`(?m)^number of failed transactions: (\d+)`)
)

func parsePgbench(said []byte) (m measurement, err error) {
	find := func(re *regexp.Regexp) string {
		if match := re.FindSubmatch(said); match != nil {
			return string(match[1])
		}
		return ""
	}
	var rateErr, doneErr error
	m.rate, rateErr = strconv.ParseFloat(find(pgbenchRate), 64)
	m.answers, doneErr = strconv.ParseInt(find(pgbenchDone), 10, 64)
	m.failed, _ = strconv.ParseInt(find(pgbenchFailed), 10, 64) // pgbench 14 does not say
	if doneErr == nil && m.answers == 0 {
		return m, fmt.Errorf("%w:\n%s", errNothingDone, said)
	}
	if rateErr != nil || doneErr != nil {
		return m, fmt.Errorf("no result in what it says:\n%s", said)
	}
	return m, nil
}
