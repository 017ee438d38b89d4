package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/messenger-clone/messenger-clone-api/server/config"
)

// poolerConsole is the database behind which PgBouncer answers about itself.
const poolerConsole = "pgbouncer"

// errDoesNotFit marks limits that contradict each other, as opposed to a server
// that could not be asked.
var errDoesNotFit = errors.New("does not fit")

// checkLimits refuses pool sizes that the poolers and replicas cannot take. It
// asks each over one short connection. A server that does not answer is only
// warned of: the shards that are up shall serve.
func checkLimits(ctx context.Context, cfg config.Config, log *slog.Logger) error {
	var (
		wg      sync.WaitGroup
		mu      sync.Mutex
		refused []error
	)
	check := func(shard, server string, ask func() error) {
		wg.Go(func() {
			err := ask()
			switch {
			case errors.Is(err, errDoesNotFit):
				mu.Lock()
				defer mu.Unlock()
				refused = append(refused, fmt.Errorf("%s: %w", shard, err))
			case err != nil:
				log.Warn("limits not checked", "shard", shard, "server", server, "err", err.Error())
			}
		})
	}
	for _, s := range cfg.Shards {
		check(s.Name, "pgbouncer", func() error { return checkPooler(ctx, cfg, s) })
		if s.Replica != "" {
			check(s.Name, "replica", func() error { return checkReplica(ctx, cfg, s) })
		}
	}
	wg.Wait()
	return errors.Join(refused...)
}

func checkPooler(ctx context.Context, cfg config.Config, s config.Shard) error {
	settings := map[string]int{}
	err := ask(ctx, cfg, s.Pooler, poolerConsole, "SHOW CONFIG", func(values []string) {
		if n, err := strconv.Atoi(values[1]); err == nil {
			settings[values[0]] = n
		}
	})
	if err != nil {
		return err
	}
	return fitPooler(cfg, settings["max_client_conn"])
}

func fitPooler(cfg config.Config, accepted int) error {
	if cfg.DBWriteMaxOpenConns <= accepted {
		return nil
	}
	return fmt.Errorf("DB_WRITE_MAX_OPEN_CONNS %w: all workers together may open %d connections, its PgBouncer accepts max_client_conn = %d",
		errDoesNotFit, cfg.DBWriteMaxOpenConns, accepted)
}

// settingsQuery reads the limits by name; reserved_connections is new in PostgreSQL 16.
const settingsQuery = `SELECT name, setting FROM pg_settings
 WHERE name IN ('max_connections', 'superuser_reserved_connections', 'reserved_connections')`

func checkReplica(ctx context.Context, cfg config.Config, s config.Shard) error {
	settings := map[string]int{}
	err := ask(ctx, cfg, s.Replica, s.Database, settingsQuery, func(values []string) {
		settings[values[0]], _ = strconv.Atoi(values[1]) // the server's own integers
	})
	if err != nil {
		return err
	}
	return fitReplica(cfg, settings["max_connections"], settings["superuser_reserved_connections"]+settings["reserved_connections"])
}

func fitReplica(cfg config.Config, most, reserved int) error {
	if cfg.DBReadMaxOpenConns <= most-reserved {
		return nil
	}
	return fmt.Errorf("DB_READ_MAX_OPEN_CONNS %w: all workers together may open %d connections, its replica accepts max_connections - reserved = %d - %d = %d",
		errDoesNotFit, cfg.DBReadMaxOpenConns, most, reserved, most-reserved)
}

// ask sends one query over a connection of its own and calls row with the
// values of each row. PgBouncer's console speaks the simple protocol only.
func ask(ctx context.Context, cfg config.Config, addr, database, query string, row func(values []string)) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*cfg.DBConnectTimeout) // one half each to connect and to answer
	defer cancel()
	target, err := connConfig(cfg, addr)
	if err != nil {
		return err
	}
	target.Database = database
	target.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	conn, err := pgx.ConnectConfig(ctx, target)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()

	rows, err := conn.Query(ctx, query)
	if err != nil {
		return fmt.Errorf("%s: %w", query, err)
	}
	defer rows.Close()
	for rows.Next() {
		var values []string
		for _, raw := range rows.RawValues() { // the simple protocol's values are text
			values = append(values, string(raw))
		}
		row(values)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("%s: %w", query, err)
	}
	return nil
}
