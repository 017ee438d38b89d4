package routes

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/google/uuid"
	"github.com/valyala/fasthttp"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/repositories"
)

// localRequestID is where the request's id is kept while it lasts.
type localRequestID struct{}

const maxRequestIDLength = 128

// identify gives every request an id, the client's own if it sent a sound one,
// and returns it in the answer.
func identify(c fiber.Ctx) error {
	assignRequestID(c)
	return c.Next()
}

func assignRequestID(c fiber.Ctx) {
	id := c.Get(fiber.HeaderXRequestID)
	if !soundRequestID(id) {
		id = uuid.NewString()
	}
	id = strings.Clone(id) // Fiber reuses the bytes behind a header
	c.Locals(localRequestID{}, id)
	c.Set(fiber.HeaderXRequestID, id)
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
}

// knownMethods answers to methods that Fiber has no number for, which it would
// answer itself, in plain text and before any middleware.
func knownMethods(app *fiber.App, answers answers) {
	next := app.Server().Handler
	app.Server().Handler = func(fctx *fasthttp.RequestCtx) {
		if slices.Contains(fiber.DefaultMethods, string(fctx.Method())) {
			next(fctx)
			return
		}
		c := app.AcquireCtx(fctx)
		defer app.ReleaseCtx(c)
		_ = answers.refused(c, fiber.ErrNotImplemented) // it fails only if our own problem does not encode
	}
}

func soundRequestID(id string) bool {
	return id != "" && len(id) <= maxRequestIDLength &&
		!strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' })
}

func requestID(c fiber.Ctx) string {
	id, _ := c.Locals(localRequestID{}).(string)
	return id
}

// recovered turns a panic into an error, so that it costs one request and not
// a worker with all it has in flight.
func recovered(c fiber.Ctx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return c.Next()
}

// closing asks clients for new connections while we drain: the ones they have
// end with us.
func closing(draining *atomic.Bool) fiber.Handler {
	return func(c fiber.Ctx) error {
		if draining.Load() {
			c.RequestCtx().SetConnectionClose()
		}
		return c.Next()
	}
}

// deadline bounds what is done for a request. Fiber's context knows neither a
// deadline nor that the client left.
func deadline(timeout time.Duration) fiber.Handler {
	return func(c fiber.Ctx) error {
		ctx, cancel := context.WithTimeout(c.Context(), timeout)
		defer cancel()
		c.SetContext(ctx)
		return c.Next()
	}
}

// headerConsistency asks by "strong" for reads from the primaries. Without it,
// lists and counts may be as old as the replicas are; single users never are.
const headerConsistency = "Consistency"

func consistency(c fiber.Ctx) error {
	switch c.Get(headerConsistency) {
	case "":
	case "strong":
		c.SetContext(repositories.WithStrong(c.Context()))
	default:
		return entities.InvalidField(headerConsistency, "must be strong, or not be sent")
	}
	return c.Next()
}
