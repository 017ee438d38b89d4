// Package bootstrap builds the parts of the server, wires them and runs them:
// one master that keeps the workers, and the workers that serve.
package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/freshness"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/logging"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/metrics"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/prefork"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/ratelimit"
)

// exitMargin is what a worker needs beyond its drain to close and be gone.
const exitMargin = 2 * time.Second

// required are the settings without which the API cannot log in anywhere.
var required = []string{"DB_PASSWORD"}

// CheckConfig tells whether Run would accept the settings.
func CheckConfig() error {
	_, err := config.Load(required...)
	return err
}

// ErrRestart is what Run returns after an orderly stop, when what has changed
// takes a new master: the caller starts the program anew in its own place.
var ErrRestart = prefork.ErrRestart

// Run is the whole program, as the master or, started by one, as a worker,
// until ctx is done. It logs to w. Each time rolls yields, the master replaces
// the workers one by one by those of the program and the settings as they are then.
func Run(ctx context.Context, w io.Writer, rolls <-chan os.Signal) error {
	if prefork.IsCompanion() {
		return runAdmin(ctx, w)
	}
	if prefork.IsWorker() {
		err := runWorker(ctx, w)
		if err != nil {
			prefork.Fail(err)
		}
		return err
	}
	return runMaster(ctx, w, rolls)
}

// runMaster opens no pools: what it asks the databases, it asks over single
// connections before there are workers.
func runMaster(ctx context.Context, w io.Writer, rolls <-chan os.Signal) error {
	cfg, err := config.Load(required...)
	if err != nil {
		return err
	}
	limitRuntime(cfg)
	lines := logging.New(w, cfg.LogLevel)
	defer lines.Flush()
	log := lines.Logger
	logSettings(log, cfg)
	if err := checkLimits(ctx, cfg, log); err != nil {
		return fmt.Errorf("pool sizes: %w", err)
	}
	if err := checkSchemas(ctx, cfg, log); err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	if err := checkIdentities(ctx, cfg, log); err != nil {
		return fmt.Errorf("placement: %w", err)
	}
	var counts *metrics.Memory // once Share was called, which is before there are workers
	master := &prefork.Master{
		Addr:        cfg.Addr(),
		Workers:     cfg.Workers,
		Environ:     cfg.Environ(),
		Rolls:       rolls,
		Reload:      func(ctx context.Context) (prefork.Reload, error) { return reload(ctx, cfg) },
		StopTimeout: max(yieldTime, lameDuck+settle) + cfg.DrainTimeout + exitMargin,
		Share: func() (files []*os.File, err error) {
			counts, files, err = createShared(cfg)
			return files, err
		},
		Started:   func(slot int) { counts.Started(slot) },
		Died:      func(slot int) { counts.Died(slot) },
		Companion: cfg.AdminAddr != config.Off,
		Log:       log,
	}
	return master.Run(ctx)
}

func runWorker(ctx context.Context, w io.Writer) (err error) {
	cfg, err := config.LoadEnv(required...)
	if err != nil {
		return err
	}
	limitRuntime(cfg)
	lines := logging.New(w, cfg.LogLevel)
	defer lines.Flush()
	log := lines.Logger
	// The master may be of an older program, which needs less.
	if err := checkSchemas(ctx, cfg, log); err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	table, counts, err := attachShared(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, table.Close(), counts.Close()) }()
	rates, err := attachRates(cfg)
	if err != nil {
		return err
	}
	if rates != nil {
		defer func() { err = errors.Join(err, rates.Close()) }()
	}
	worker := counts.Worker(prefork.Slot())
	worker.Join()
	app, err := NewApplication(cfg, table, rates, worker, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, app.Close()) }()
	port := 0
	if cfg.AdminAddr != config.Off {
		var closePprof func() error
		if port, closePprof, err = servePprof(); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, closePprof()) }()
	}
	return prefork.Serve(ctx, log, func(ctx context.Context, ln net.Listener, started func()) error {
		return app.Serve(ctx, ln, func() {
			worker.TakeOver(port)
			started()
		})
	})
}

// The files that the master shares with its workers, in their order.
const (
	tableFile = iota
	countsFile
	ratesFile
)

// createShared makes the table by which the workers know what they have written,
// and the memories in which they count, for us and of each client. A write takes at
// most as long as its request.
func createShared(cfg config.Config) (*metrics.Memory, []*os.File, error) {
	table, tableFile, err := freshness.Create(len(cfg.Shards), cfg.RequestTimeout)
	if err != nil {
		return nil, nil, err
	}
	if err := table.Close(); err != nil { // the master has no use for it
		return nil, nil, errors.Join(err, tableFile.Close())
	}
	ratesFile, err := ratelimit.Create()
	if err != nil {
		return nil, nil, errors.Join(err, tableFile.Close())
	}
	counts, countsFile, err := metrics.Create(cfg.Workers, len(cfg.Shards))
	if err != nil {
		return nil, nil, errors.Join(err, tableFile.Close(), ratesFile.Close())
	}
	return counts, []*os.File{tableFile, countsFile, ratesFile}, nil
}

func attachShared(cfg config.Config) (*freshness.Table, *metrics.Memory, error) {
	file := prefork.Shared(tableFile)
	defer file.Close()
	table, err := freshness.Attach(file, len(cfg.Shards))
	if err != nil {
		return nil, nil, err
	}
	file = prefork.Shared(countsFile)
	defer file.Close()
	counts, err := metrics.Attach(file, cfg.Workers, len(cfg.Shards))
	if err != nil {
		return nil, nil, errors.Join(err, table.Close())
	}
	return table, counts, nil
}

// limitRuntime applies what the runtime reads from the environment only, which
// it would miss in .env. The memory limit is shared between the processes.
func limitRuntime(cfg config.Config) {
	debug.SetGCPercent(int(cfg.GCPercent))
	debug.SetMemoryLimit(cfg.MemoryPerProcess())
}

// logSettings tells an operator what the settings come to, for each process.
func logSettings(log *slog.Logger, cfg config.Config) {
	log.Info("settings", "addr", cfg.Addr(), "shards", len(cfg.Shards), "sharding_enabled", cfg.ShardingEnabled, "workers", cfg.Workers,
		"gc_percent", int(cfg.GCPercent), "memory_limit_bytes", cfg.MemoryPerProcess(),
		slog.Group("per_worker_and_shard",
			"write_open", cfg.PerWorker(cfg.DBWriteMaxOpenConns), "write_idle", cfg.PerWorker(cfg.DBWriteMaxIdleConns),
			"read_open", cfg.PerWorker(cfg.DBReadMaxOpenConns), "read_idle", cfg.PerWorker(cfg.DBReadMaxIdleConns)))
}
