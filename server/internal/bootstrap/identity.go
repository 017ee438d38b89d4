package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
)

// checkIdentities refuses servers that are not the shards the settings take
// them for. It asks each over one short connection; one that does not answer
// is only warned of, and checked when a worker connects.
func checkIdentities(ctx context.Context, cfg config.Config, log *slog.Logger) error {
	names := make([]string, 0, len(cfg.Shards))
	for _, s := range cfg.Shards {
		names = append(names, s.Name)
	}
	want, err := shard.Identities(names)
	if err != nil {
		return err
	}
	var (
		wg       sync.WaitGroup
		mu       sync.Mutex
		clusters = map[string]string{}       // id → the first server that gave it
		written  = make([]int64, len(names)) // the epoch of the server that the pooler leads to
		highest  = make([]int64, len(names)) // of all of the shard's
		refused  []error
	)
	check := func(i int, server, addr string) {
		cluster, found, epoch, err := identityAt(ctx, cfg, cfg.Shards[i], addr)
		mu.Lock()
		defer mu.Unlock()
		highest[i] = max(highest[i], epoch)
		switch {
		case errors.Is(err, errNoIdentity) && server == pooler, errors.Is(err, errElsewhere): // a replica may lag behind the first migration
			refused = append(refused, fmt.Errorf("%s: its %s at %s %w", names[i], server, addr, err))
		case err != nil:
			log.Warn("identity not checked", "shard", names[i], "server", server, "err", err.Error())
		default:
			if server == pooler {
				written[i] = epoch
			}
			clusters[cluster] = names[i] + "'s " + server
			if err := want[i].Match(found); err != nil {
				refused = append(refused, fmt.Errorf("%s at %s: %w", server, addr, err))
			}
		}
	}
	for i, s := range cfg.Shards {
		wg.Go(func() { check(i, pooler, s.Pooler) })
		if s.Replica != "" { // which of the two it is does not matter here
			wg.Go(func() { check(i, "primary", s.Primary) })
			wg.Go(func() { check(i, "replica", s.Replica) })
		}
	}
	wg.Wait()
	for i, epoch := range written {
		if epoch != 0 && epoch < highest[i] {
			refused = append(refused, fmt.Errorf("%s: its PgBouncer at %s leads to a server of epoch %d, and there was a promotion to epoch %d: point it to the primary (make up does)",
				names[i], cfg.Shards[i].Pooler, epoch, highest[i]))
		}
	}
	if len(clusters) > 1 {
		refused = append(refused, fmt.Errorf("the shards are of %d clusters, by their ids: %v", len(clusters), clusters))
	}
	return errors.Join(refused...)
}

var (
	// errNoIdentity is a database that the migrations have not reached.
	errNoIdentity = errors.New("does not say which shard it is: run `make migrate-up`")
	// errElsewhere is a server that does not have the shard's database.
	errElsewhere = errors.New("is not that shard's")
)

// pooler is what messages call it.
const pooler = "PgBouncer"

func identityAt(ctx context.Context, cfg config.Config, s config.Shard, addr string) (cluster string, id shard.Identity, epoch int64, err error) {
	rows := 0
	err = ask(ctx, cfg, addr, s.Database, shard.IdentityQuery, func(values []string) {
		rows++
		number := func(i int) int { n, _ := strconv.Atoi(values[i]); return n } // integers of the table's
		cluster = values[0]
		id = shard.Identity{Name: values[1], Index: number(2), Shards: number(3), VirtualNodes: number(4), RingChecksum: values[5]}
		epoch = int64(number(6))
	})
	switch {
	case isUndefinedTable(err), err == nil && rows == 0:
		return "", id, 0, errNoIdentity
	case isUndefinedDatabase(err):
		return "", id, 0, fmt.Errorf("%w: database %s was expected, and %s found: correct SHARD_<i>_WRITE_ADDR or SHARD_<i>_REPLICA_ADDR",
			errElsewhere, s.Database, databasesAt(ctx, cfg, addr))
	}
	return cluster, id, epoch, err
}

func isUndefinedTable(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "42P01"
}

// isUndefinedDatabase: PostgreSQL has a code for it, PgBouncer 1.18 only words.
func isUndefinedDatabase(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "3D000" || strings.HasPrefix(pg.Message, "no such database"))
}

// databasesAt lists what a server has instead of what was looked for, asked in
// PgBouncer's console or, where there is none, in the database everybody may enter.
func databasesAt(ctx context.Context, cfg config.Config, addr string) string {
	var found []string
	add := func(values []string) {
		if name := values[0]; strings.HasPrefix(name, cfg.DBName) {
			found = append(found, name)
		}
	}
	if err := ask(ctx, cfg, addr, poolerConsole, "SHOW DATABASES", add); err != nil {
		err = ask(ctx, cfg, addr, "postgres", "SELECT datname FROM pg_database ORDER BY datname", add)
		if err != nil {
			return "something else"
		}
	}
	if len(found) == 0 {
		return "none of ours"
	}
	return strings.Join(found, ", ")
}
