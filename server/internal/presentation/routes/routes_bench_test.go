package routes

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/google/uuid"
	"github.com/valyala/fasthttp"

	"github.com/messenger-clone/messenger-clone-api/server/internal/application/services"
	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/repositories"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/requestlog"
	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/handlers"
)

// ready is a repository that has the answer already: what a benchmark over it
// measures is everything above.
type ready struct {
	repositories.Users
	user entities.User
}

func (r ready) ByID(ctx context.Context, _ uuid.UUID) (entities.User, error) {
	event := requestlog.From(ctx)
	event.Shard("shard-3")
	event.Served("shard-3", "replica")
	return r.user, nil
}

// BenchmarkGet answers GET by id from the parsed request on, down to the
// repository's interface: through everything around the handlers, as the server
// logs by default (all), without a log (unlogged), and by the handler alone.
func BenchmarkGet(b *testing.B) {
	repo := ready{user: entities.User{ID: adaID, Name: "Ada Lovelace", Email: "ada@example.com", CreatedAt: clock(), UpdatedAt: clock(), Version: 1}}
	users := handlers.NewUsers(services.NewUsers(repo, nil, clock, time.Hour), handlers.NewCursors(nil))
	whole := func(level slog.Level) fasthttp.RequestHandler {
		log := slog.New(slog.NewJSONHandler(io.Discard, &slog.HandlerOptions{Level: level})) //nolint:sloglint // what a line costs is measured, too
		app := New(Config{RequestTimeout: time.Second, BodyLimit: 1 << 10, Log: log, Draining: new(atomic.Bool)}, users, handlers.NewShards(nil, nil))
		_ = app.Handler() // builds the routes
		return app.Server().Handler
	}
	alone := fiber.New(fiber.Config{JSONEncoder: handlers.JSON.Marshal})
	alone.Get("/api/v1/users/:id", users.ByID)

	for _, bench := range []struct {
		name    string
		handler fasthttp.RequestHandler
	}{
		{"all", whole(slog.LevelInfo)},
		{"unlogged", whole(slog.LevelWarn)},
		{"alone", alone.Handler()},
	} {
		b.Run(bench.name, func(b *testing.B) {
			var req fasthttp.Request
			req.Header.SetMethod(http.MethodGet)
			req.SetRequestURI(handlers.UsersPath + adaID.String())
			req.Header.SetHost("localhost:8080")
			var c fasthttp.RequestCtx
			c.Init(&req, nil, nil)
			b.ReportAllocs()
			for b.Loop() {
				c.Response.Reset()
				bench.handler(&c)
			}
			if !bytes.Contains(c.Response.Body(), []byte("Ada Lovelace")) {
				b.Errorf("got %d %s, want Ada", c.Response.StatusCode(), c.Response.Body())
			}
		})
	}
}
