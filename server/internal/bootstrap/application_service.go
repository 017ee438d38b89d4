package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v3"
	"go.opentelemetry.io/otel/trace"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/internal/application/services"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/cache"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/freshness"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/metrics"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/prefork"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/ratelimit"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/tracing"
	"github.com/messenger-clone/messenger-clone-api/server/internal/persistence/repositories"
	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/handlers"
	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/routes"
)

const (
	// lameDuck is how long a worker that is told to stop goes on taking new
	// connections: clients and balancers need that long to learn of it.
	lameDuck = 300 * time.Millisecond
	// yieldTime is how long a worker with a successor waits for its clients to send
	// something, which is answered with Connection: close, before it closes the
	// connections that are idle.
	yieldTime = 2 * time.Second
	// settle is how long it then takes those that are on their way: a
	// handshake's last round trip and a turn of the accepting loop.
	settle = 100 * time.Millisecond
	// newcomerTime is how long a connection may then have said nothing before it
	// is closed: on a busy machine a request is a while behind its handshake.
	newcomerTime = time.Second
)

// Application is everything one worker serves with.
type Application struct {
	http         *fiber.App
	log          *slog.Logger
	sampler      *freshness.Sampler
	sweeper      *repositories.Sweeper
	router       *shard.Router
	cache        *cache.Cache    // nil when it is off
	traces       *tracing.Traces // nil when they are off
	worker       *metrics.Worker
	draining     *atomic.Bool
	serving      atomic.Bool
	drainTimeout time.Duration
}

// NewApplication builds it over the tables that the workers share, and has the worker
// count; rates is nil where clients are not limited. It connects to nothing yet. The
// caller closes it, and then the tables.
func NewApplication(cfg config.Config, table *freshness.Table, rates *ratelimit.Table, worker *metrics.Worker, log *slog.Logger) (_ *Application, err error) {
	if err := handlers.Warm(); err != nil {
		return nil, fmt.Errorf("warm up JSON: %w", err)
	}
	kept, err := openCache(cfg, log)
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	traces, tracer, err := openTraces(cfg, log)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil && traces != nil {
			traces.Close()
		}
	}()
	router, err := openShards(cfg, table, kept, worker, tracer, log)
	if err != nil {
		return nil, fmt.Errorf("open shards: %w", err)
	}
	sampler, err := newSampler(cfg, table, log)
	if err != nil {
		return nil, fmt.Errorf("sampler: %w", errors.Join(err, router.Close()))
	}

	repo := repositories.NewShardedUsers(router, cfg.RequestTimeout/2) // the other half is the primary's
	users := services.NewUsers(repo, repo.NewID, time.Now, cfg.IdempotencyTTL)
	shards := services.NewShards(repo, router, router, services.SharedAnswers{
		MaxAge:       cfg.StatsMaxAge,
		CountTimeout: cfg.RequestTimeout,
		ProbeTimeout: cfg.DBConnectTimeout,
	}, time.Now)

	cursors, err := Cursors(cfg)
	if err != nil {
		return nil, errors.Join(err, router.Close())
	}
	draining := new(atomic.Bool)
	app := routes.New(routes.Config{
		RequestTimeout: cfg.RequestTimeout,
		ReadTimeout:    cfg.ReadTimeout,
		WriteTimeout:   cfg.WriteTimeout,
		IdleTimeout:    cfg.IdleTimeout,
		BodyLimit:      int(cfg.BodyLimit),
		RateLimit:      rateLimit(cfg, rates, worker),
		AllowOrigins:   cfg.CORSAllowOrigins,
		Log:            log,
		Draining:       draining,
		Observer:       worker,
		Tracer:         tracer,
	}, newUserHandlers(users, tracer, cursors), handlers.NewShards(shards, draining))

	return &Application{
		http: app, log: log, sampler: sampler, sweeper: repositories.NewSweeper(repo, log), router: router, cache: kept, worker: worker,
		traces: traces, draining: draining, drainTimeout: cfg.DrainTimeout,
	}, nil
}

// Serve answers requests that arrive on ln until ctx is done, and then those
// that are in flight, for as long as the drain timeout allows.
func (a *Application) Serve(ctx context.Context, ln net.Listener, started func()) error {
	// A worker that is told to stop leaves what one does for all, the sampling and
	// the sweeping, to another at once.
	leading, stop := context.WithCancel(ctx)
	var chores sync.WaitGroup
	chores.Go(func() { a.sampler.Run(leading) })
	chores.Go(func() { a.sweeper.Run(leading, a.sampler.Leads) })
	if a.cache != nil {
		chores.Go(func() { a.cache.Run(leading) })
	}
	defer chores.Wait()
	defer stop()
	telling, stopTelling := context.WithCancel(context.WithoutCancel(ctx)) // of its drain, too
	chores.Go(func() { a.tell(telling) })
	defer stopTelling()

	a.router.Warm(ctx)
	served := make(chan error, 1)
	tracked := prefork.Track(ln)
	go func() {
		served <- a.http.Listener(tracked, fiber.ListenConfig{
			DisableStartupMessage: true,
			BeforeServeFunc:       func(*fiber.App) error { a.serving.Store(true); started(); return nil },
		})
	}()
	select {
	case err := <-served: // the listener failed
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	succeeded := errors.Is(context.Cause(ctx), prefork.ErrSucceeded)
	return a.drain(context.WithoutCancel(ctx), tracked, succeeded, served)
}

// drain first sends the clients away, then no longer lets them in, then waits
// for those that are inside. A successor lets them in meanwhile if there is one.
func (a *Application) drain(ctx context.Context, ln *prefork.Listener, succeeded bool, served <-chan error) error {
	a.draining.Store(true)
	if succeeded {
		if err := ln.Yield(); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, max(yieldTime, lameDuck+settle+newcomerTime)+a.drainTimeout)
	defer cancel()
	if succeeded {
		a.awaitClients(yieldTime)
	} else {
		mayReset := func(err error) { // some sandboxes know no socket filters
			if err != nil {
				a.log.Warn("connections may be reset", "err", err.Error())
			}
		}
		mayReset(prefork.AcceptSilent(ln.Listener))
		<-time.After(lameDuck)
		mayReset(prefork.RefuseNew(ln.Listener))
		<-time.After(settle)
		ln.AwaitNewcomers(newcomerTime)
	}
	ln.CloseSilent()
	a.log.Info("draining")
	if err := a.http.ShutdownWithContext(ctx); err != nil {
		return fmt.Errorf("drain within %s: %w", a.drainTimeout, err)
	}
	return <-served
}

// awaitClients waits until no connection is open, at most for so long.
func (a *Application) awaitClients(most time.Duration) {
	enough := time.NewTimer(most)
	defer enough.Stop()
	look := time.NewTicker(settle)
	defer look.Stop()
	for {
		select {
		case <-look.C:
			if a.http.Server().GetOpenConnectionsCount() == 0 {
				return
			}
		case <-enough.C:
			return
		}
	}
}

// newUserHandlers has the handlers call the service, by way of its spans if there is a
// tracer.
func newUserHandlers(users *services.Users, tracer trace.Tracer, cursors handlers.Cursors) *handlers.Users {
	if tracer == nil {
		return handlers.NewUsers(users, cursors)
	}
	return handlers.NewUsers(tracing.NewUsers(users, tracer), cursors)
}

// Close closes the connections to the shards, and sends the last spans. Serve has
// returned by then.
func (a *Application) Close() error {
	if a.traces != nil {
		defer a.traces.Close()
	}
	if err := a.router.Close(); err != nil {
		return errors.Join(errors.New("close shards"), err)
	}
	return nil
}
