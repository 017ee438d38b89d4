package bootstrap

import (
	"fmt"
	"log/slog"
	"net/url"

	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel/trace"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/cache"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/freshness"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/metrics"
)

// applicationName shows in pg_stat_activity whose a connection is.
const applicationName = "messenger_server"

// openShards returns one worker's connections to every shard. All workers
// together, each with its part, keep to the limits in cfg: with 7 workers and
// 500 connections for writes, 71 to each shard's pooler, 497 in all.
func openShards(cfg config.Config, table *freshness.Table, kept *cache.Cache, worker *metrics.Worker, tracer trace.Tracer, log *slog.Logger) (*shard.Router, error) {
	nodes, err := nodesOf(cfg)
	if err != nil {
		return nil, err
	}
	limits := shard.Limits{
		WriteOpen:      cfg.PerWorker(cfg.DBWriteMaxOpenConns),
		WriteIdle:      cfg.PerWorker(cfg.DBWriteMaxIdleConns),
		ReadOpen:       cfg.PerWorker(cfg.DBReadMaxOpenConns),
		ReadIdle:       cfg.PerWorker(cfg.DBReadMaxIdleConns),
		ReadTimeout:    cfg.DBReadTimeout,
		MaxLag:         cfg.ReplicaMaxLag,
		RequestTimeout: cfg.RequestTimeout,
		Log:            log,
		Table:          table,
		CacheMaxAge:    cfg.CacheMaxAge,
		CacheObserver:  worker,
		Tracer:         tracer,
		Observe:        func(i int, role metrics.Role) shard.Observer { return worker.Server(i, role) },
	}
	if kept != nil {
		limits.Cache = kept
	}
	return shard.NewRouter(nodes, limits)
}

// openCache returns what keeps copies for one worker, nil if the cache is off.
func openCache(cfg config.Config, log *slog.Logger) (*cache.Cache, error) {
	if cfg.RedisURL == "" {
		return nil, nil
	}
	return cache.New(cfg.RedisURL.Reveal(), cfg.CachePerProcess(), cfg.CacheMaxAge, log)
}

// newSampler returns what finds out for all workers how far the replicas are,
// over two connections to each shard of its own.
func newSampler(cfg config.Config, table *freshness.Table, log *slog.Logger) (*freshness.Sampler, error) {
	nodes, err := nodesOf(cfg)
	if err != nil {
		return nil, err
	}
	shards := make([]freshness.Shard, len(nodes))
	for i, n := range nodes {
		shards[i] = freshness.Shard{Name: n.Name, Primary: n.Primary, Replica: n.Replica}
	}
	return freshness.NewSampler(table, shards, log), nil
}

func nodesOf(cfg config.Config) ([]shard.Node, error) {
	nodes := make([]shard.Node, 0, len(cfg.Shards))
	for _, s := range cfg.Shards {
		node := shard.Node{Name: s.Name}
		var err error
		if node.Primary, err = connConfig(cfg, s.Pooler); err != nil {
			return nil, fmt.Errorf("%s: %w", s.Name, err)
		}
		if s.Replica != "" {
			if node.Replica, err = parseURL(cfg, cfg.ReplicaURL(s, cfg.DBUser, cfg.DBPassword)); err != nil {
				return nil, fmt.Errorf("%s: %w", s.Name, err)
			}
		}
		nodes = append(nodes, node)
	}
	return nodes, nil
}

// connConfig is how the API reaches one of the shard's servers.
func connConfig(cfg config.Config, addr string) (*pgx.ConnConfig, error) {
	return parseURL(cfg, cfg.DatabaseURL(addr, cfg.DBUser, cfg.DBPassword))
}

func parseURL(cfg config.Config, u *url.URL) (*pgx.ConnConfig, error) {
	conn, err := pgx.ParseConfig(u.String())
	if err != nil {
		return nil, fmt.Errorf("address %s: %w", u.Redacted(), err) // pgx hides the password
	}
	conn.ConnectTimeout = cfg.DBConnectTimeout
	conn.RuntimeParams["application_name"] = applicationName
	return conn, nil
}
