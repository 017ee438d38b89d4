package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/google/uuid"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/internal/application/services"
	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/repositories"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/logging"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/prefork"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/requestlog"
	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/handlers"
	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/routes"
)

// nullCommand makes this program the server with nothing behind it.
const nullCommand = "null"

// constant is a repository that has the answer already.
type constant struct{ repositories.Users }

var born = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// ByID implements repositories.Users.
func (constant) ByID(ctx context.Context, id uuid.UUID) (entities.User, error) {
	event := requestlog.From(ctx)
	event.Shard("shard-0")
	event.Served("shard-0", "replica")
	return entities.User{ID: id, Name: "Ada Lovelace", Email: "ada.lovelace@example.com", CreatedAt: born, UpdatedAt: born, Version: 1}, nil
}

// serveNull is the API's processes, limits, middleware, handlers and encoding over a constant user. It answers GET by id and /livez. It is
// no mode of the API itself, so that no setting can ever make that one lie.
func serveNull(ctx context.Context) error {
	cfg, err := config.LoadEnv()
	if err != nil {
		return err
	}
	debug.SetGCPercent(int(cfg.GCPercent))
	debug.SetMemoryLimit(cfg.MemoryPerProcess())
	lines := logging.New(os.Stdout, cfg.LogLevel)
	defer lines.Flush()
	log := lines.Logger
	if !prefork.IsWorker() {
		return (&prefork.Master{Addr: cfg.Addr(), Workers: cfg.Workers, Environ: cfg.Environ(), StopTimeout: cfg.DrainTimeout, Log: log}).Run(ctx)
	}
	if err := handlers.Warm(); err != nil {
		return err
	}
	draining := new(atomic.Bool)
	users := services.NewUsers(constant{}, nil, time.Now, cfg.IdempotencyTTL)
	app := routes.New(routes.Config{
		RequestTimeout: cfg.RequestTimeout, ReadTimeout: cfg.ReadTimeout, WriteTimeout: cfg.WriteTimeout, IdleTimeout: cfg.IdleTimeout,
		BodyLimit: int(cfg.BodyLimit), Log: log, Draining: draining,
	}, handlers.NewUsers(users, handlers.Cursors{}), handlers.NewShards(nil, draining))
	return prefork.Serve(ctx, log, func(ctx context.Context, ln net.Listener, started func()) error {
		served := make(chan error, 1)
		go func() {
			served <- app.Listener(ln, fiber.ListenConfig{
				DisableStartupMessage: true,
				BeforeServeFunc:       func(*fiber.App) error { started(); return nil },
			})
		}()
		select {
		case err := <-served:
			return fmt.Errorf("serve: %w", err)
		case <-ctx.Done():
		}
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.DrainTimeout)
		defer cancel()
		return errors.Join(app.ShutdownWithContext(stopping), <-served)
	})
}
