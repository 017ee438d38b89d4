package routes

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/cors"
	"github.com/google/uuid"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/repositories"
	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/contract"
	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/handlers"
)

// localRequestID is where the request's id is kept while it lasts.
type localRequestID struct{}

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

func soundRequestID(id string) bool {
	return id != "" && len(id) <= contract.MaxRequestIDLength &&
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
// end with us. So are those whose answer took longer than it took us to begin.
func closing(draining *atomic.Bool) fiber.Handler {
	return func(c fiber.Ctx) error {
		defer func() {
			if draining.Load() {
				c.RequestCtx().SetConnectionClose()
			}
		}()
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
	values := c.Request().Header.PeekAll(headerConsistency)
	switch {
	case len(values) == 0:
	case len(values) == 1 && string(values[0]) == "strong":
		c.SetContext(repositories.WithStrong(c.Context()))
	default:
		return entities.InvalidField(headerConsistency, "must be strong, or not be sent")
	}
	return c.Next()
}

// anyMethod is what the server as a whole allows.
const anyMethod = "GET, HEAD, POST, PUT, DELETE, OPTIONS"

// options completes what Fiber says of methods: every path that has any has
// OPTIONS too, whose answer is the list (RFC 9110, 9.3.7). It tells whether the
// request is answered with that.
func options(c fiber.Ctx, err error) bool {
	isOptions := c.Method() == fiber.MethodOptions
	switch {
	case errors.Is(err, fiber.ErrMethodNotAllowed): // and Allow lists the others
		c.Append(fiber.HeaderAllow, fiber.MethodOptions)
	case isOptions && errors.Is(err, fiber.ErrNotFound) && string(c.Request().Header.RequestURI()) == "*":
		c.Set(fiber.HeaderAllow, anyMethod)
	default:
		return false
	}
	if isOptions {
		c.Status(fiber.StatusNoContent)
	}
	return isOptions
}

// crossOrigin lets scripts of the origins' pages use the API in a browser.
// Browsers send no credentials along: there are none.
func crossOrigin(origins []string) fiber.Handler {
	return cors.New(cors.Config{
		AllowOrigins: origins,
		AllowMethods: []string{
			fiber.MethodGet, fiber.MethodHead, fiber.MethodPost, fiber.MethodPut, fiber.MethodDelete,
		},
		AllowHeaders: []string{
			fiber.HeaderContentType, fiber.HeaderIfMatch, fiber.HeaderIfNoneMatch, fiber.HeaderXRequestID,
			handlers.HeaderIdempotencyKey, headerConsistency, headerPrefer,
		},
		ExposeHeaders: []string{
			fiber.HeaderETag, fiber.HeaderLink, fiber.HeaderLocation, fiber.HeaderRetryAfter, fiber.HeaderXRequestID,
			handlers.HeaderReplayed, headerServedBy,
			handlers.HeaderAsOf, handlers.HeaderMissing, handlers.HeaderPreferenceApplied,
			headerRateLimit, headerRateLimitPolicy,
		},
		MaxAge: int(preflightAge.Seconds()),
	})
}

// preflightAge is how long a browser may remember what it is allowed.
const preflightAge = 10 * time.Minute
