package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/logging"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/lookout"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/metrics"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/prefork"
	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/admin"
	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/live"
)

const (
	// adminMemory is what the admin's process is to keep to.
	adminMemory = 64 << 20
	// listenPause passes between two attempts to listen on the admin port.
	listenPause = 2 * time.Second
)

// runAdmin is the process behind the admin port: the master's companion.
func runAdmin(ctx context.Context, w io.Writer) error {
	cfg, err := config.LoadEnv(required...)
	if err != nil {
		return err
	}
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(int(cfg.GCPercent))
	debug.SetMemoryLimit(min(adminMemory, cfg.MemoryPerProcess()))
	lines := logging.New(w, cfg.LogLevel)
	defer lines.Flush()
	log := lines.Logger
	table, memory, err := attachShared(cfg) // until the process ends: a scrape may still read it
	if err != nil {
		return err
	}
	look, err := newLookout(cfg)
	if err != nil {
		return err
	}
	placed, err := newPlacement(cfg, table)
	if err != nil {
		return err
	}
	registry := prometheus.NewPedanticRegistry()
	for _, c := range []prometheus.Collector{
		metrics.NewCollector(memory, shardNames(cfg)), metrics.NewProcesses(memory), look, placed,
	} {
		if err := registry.Register(c); err != nil {
			return fmt.Errorf("register metrics: %w", err)
		}
	}
	page := live.New(registry, time.Now)
	server := &http.Server{
		Handler:           admin.New(registry, adminView{memory, look, len(cfg.Shards)}, page),
		ReadHeaderTimeout: cfg.ReadTimeout, IdleTimeout: cfg.IdleTimeout,
	}
	return prefork.Accompany(ctx, func(ctx context.Context) error {
		go look.Run(ctx, page.LookSoon)
		go page.Run(ctx)
		ln, err := listenAdmin(ctx, cfg.AdminAddr, log)
		if err != nil {
			return nil // it was told to end
		}
		log.Info("admin port", "addr", ln.Addr().String())
		if tcp, ok := ln.Addr().(*net.TCPAddr); ok && tcp.IP.IsLoopback() {
			server.Handler = admin.Local(server.Handler)
		}
		stopped := context.AfterFunc(ctx, func() { _ = server.Close() })
		defer stopped()
		if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("admin port: %w", err)
		}
		return nil
	})
}

// listenAdmin waits until the address is free. Somebody else there costs the
// metrics, and nothing else.
func listenAdmin(ctx context.Context, addr string, log *slog.Logger) (net.Listener, error) {
	for attempt := 0; ; attempt++ {
		ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
		switch {
		case err == nil:
			return ln, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case attempt == 0 && errors.Is(err, syscall.EADDRINUSE):
			log.Error("no admin port, no metrics: the address is taken; stop the program that listens there (ss -ltnp shows it), or set ADMIN_ADDR to another or to off", "addr", addr, "err", err.Error())
		case attempt == 0:
			log.Error("no admin port, no metrics: set ADMIN_ADDR to an address of this machine, or to off", "addr", addr, "err", err.Error())
		}
		select {
		case <-time.After(listenPause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// adminView is the server as the admin port shows it.
type adminView struct {
	*metrics.Memory
	look   *lookout.Lookout
	shards int
}

// Unserved implements admin.Server.
func (v adminView) Unserved() []string { return v.look.Unserved() }

// ShardCount implements admin.Server.
func (v adminView) ShardCount() int { return v.shards }

func newLookout(cfg config.Config) (*lookout.Lookout, error) {
	shards := make([]lookout.Shard, 0, len(cfg.Shards))
	for _, s := range cfg.Shards {
		at := func(addr, database string) (*pgx.ConnConfig, error) {
			conn, err := connConfig(cfg, addr)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.Name, err)
			}
			conn.Database = database
			conn.RuntimeParams["application_name"] = applicationName + "_admin"
			return conn, nil
		}
		console, err := at(s.Pooler, poolerConsole)
		if err != nil {
			return nil, err
		}
		one := lookout.Shard{Name: s.Name, Pooler: console}
		for i, addr := range s.Servers() {
			conn, err := at(addr, s.Database)
			if err != nil {
				return nil, err
			}
			one.Servers = append(one.Servers, lookout.Server{Name: s.Name + [...]string{"", "-replica"}[i], Config: conn})
		}
		shards = append(shards, one)
	}
	return lookout.New(shards), nil
}

func shardNames(cfg config.Config) (names []string) {
	for _, s := range cfg.Shards {
		names = append(names, s.Name)
	}
	return names
}
