// Package routes is the table of URLs, what happens around every request, and
// the one place where an error becomes an answer.
package routes

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v3"
	"go.opentelemetry.io/otel/trace"

	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/handlers"
)

// Config is what the HTTP side is told.
type Config struct {
	RequestTimeout time.Duration
	ReadTimeout    time.Duration
	WriteTimeout   time.Duration
	IdleTimeout    time.Duration
	BodyLimit      int
	RateLimit      *RateLimit // nil is none
	AllowOrigins   []string   // whose pages may use the API from a browser; none turns CORS off
	Log            *slog.Logger
	Draining       *atomic.Bool // ask every client to close its connection
	Observer       Observer     // may be nil
	Tracer         trace.Tracer // nil is none
}

// Observer is told of every request, before it is answered. The route is a pattern
// such as "/api/v1/users/:id", or empty where none matched.
type Observer interface {
	Answered(method, route string, status int, took time.Duration)
}

type unobserved struct{}

func (unobserved) Answered(string, string, int, time.Duration) {}

// headerLimit bounds the request line and the headers; beyond, the answer is 414 or 431.
const headerLimit = 8 << 10

// New returns the application. Every path works with and without a trailing
// slash, and GET routes answer HEAD.
func New(cfg Config, users *handlers.Users, shards *handlers.Shards) *fiber.App {
	answers := answers{log: cfg.Log, observer: unobserved{}}
	if cfg.Observer != nil {
		answers.observer = cfg.Observer
	}
	app := fiber.New(fiber.Config{
		AppName:        "messenger_server",
		CaseSensitive:  true,
		BodyLimit:      cfg.BodyLimit,
		ReadBufferSize: headerLimit,
		ReadTimeout:    cfg.ReadTimeout,
		WriteTimeout:   cfg.WriteTimeout,
		IdleTimeout:    cfg.IdleTimeout,
		JSONEncoder:    handlers.JSON.Marshal,
		JSONDecoder:    handlers.JSON.Unmarshal,
		ErrorHandler:   answers.refused,

		DisablePreParseMultipartForm: true, // nothing here takes a form
	})
	guard(app, answers, cfg.BodyLimit)
	app.Use(identify)
	if cfg.Tracer != nil {
		answers.traced = true
		app.Use(traced(cfg.Tracer))
	}
	app.Use(answers.logged)
	if len(cfg.AllowOrigins) > 0 {
		app.Use(crossOrigin(cfg.AllowOrigins)) // before anything that refuses, so that browsers show refusals too
	}
	app.Use(
		recovered,
		closing(cfg.Draining),
		deadline(cfg.RequestTimeout),
		consistency,
		lenience,
	)

	app.Get("/livez", shards.Live)
	app.Get("/readyz", shards.Ready)
	app.Get("/health", shards.Health)
	if cfg.RateLimit != nil {
		app.Use(limited(cfg.RateLimit)) // what is above is for balancers, who are never too many
	}

	explained := handlers.NewProblems()
	app.Get("/problems", explained.Index)
	app.Get("/problems/:slug", explained.Type)

	documents := handlers.NewDocuments()
	app.Get("/openapi.json", documents.Contract)
	app.Get("/docs", documents.Page)

	app.Get("/api/v1/shards/stats", shards.Stats)

	app.Post("/api/v1/users", users.Create)
	app.Get("/api/v1/users", users.List)
	app.Get("/api/v1/users/:id", users.ByID)
	app.Put("/api/v1/users/:id", users.Update)
	app.Delete("/api/v1/users/:id", users.Delete)
	return app
}
