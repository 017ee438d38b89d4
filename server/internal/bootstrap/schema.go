package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/migrations"
)

// versionQuery reads what the migration tool recorded.
const versionQuery = "SELECT version FROM schema_migrations WHERE NOT dirty"

// checkSchemas refuses shards whose schema is older than this server needs. A newer one is fine. It asks each over one short
// connection; one that does not answer is only warned of: the shards that are up shall serve.
func checkSchemas(ctx context.Context, cfg config.Config, log *slog.Logger) error {
	refused := make([]error, len(cfg.Shards))
	var wg sync.WaitGroup
	for i, s := range cfg.Shards {
		wg.Go(func() {
			version := 0
			err := ask(ctx, cfg, s.Pooler, s.Database, versionQuery, func(values []string) {
				version, _ = strconv.Atoi(values[0]) // a bigint of the table's
			})
			switch {
			case err != nil && !isUndefinedTable(err):
				log.Warn("schema not checked", "shard", s.Name, "err", err.Error())
			case version < migrations.Required:
				refused[i] = fmt.Errorf("%s is at version %d, and this server needs %d or newer: run `make migrate-up`", s.Name, version, migrations.Required)
			}
		})
	}
	wg.Wait()
	return errors.Join(refused...)
}
