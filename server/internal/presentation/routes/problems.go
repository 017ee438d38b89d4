package routes

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v3"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/requestlog"
)

// problem is the body of every failure (RFC 9457).
type problem struct {
	Type      string         `json:"type"`
	Title     string         `json:"title"`
	Status    int            `json:"status"`
	Detail    string         `json:"detail,omitempty"`
	RequestID string         `json:"request_id,omitempty"`
	Errors    []fieldProblem `json:"errors,omitempty"`
}

// fieldProblem says what is wrong with one field of the body, or one parameter.
type fieldProblem struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

// headerServedBy says which servers an answer was read from.
const headerServedBy = "X-Served-By"

const mimeProblem = "application/problem+json"

// outcomeUnknown is the type of the one failure after which a client must not
// assume that nothing happened.
const outcomeUnknown = "/problems/outcome-unknown"

// problemOf is where an error becomes an answer. What is shown are words of
// ours: an error's own text may hold SQL, addresses or personal data.
func problemOf(err error) problem {
	var (
		e  *entities.Error
		fe *fiber.Error
	)
	p := problem{Type: "about:blank", Status: http.StatusInternalServerError}
	switch {
	case errors.As(err, &e) && e.Kind != entities.Internal:
		p.Status, p.Detail = statusOf(e.Kind), e.Message
		for _, f := range e.Fields {
			p.Errors = append(p.Errors, fieldProblem{f.Field, f.Message})
		}
	case errors.As(err, &fe):
		p.Status, p.Detail = fe.Code, fiberDetail(fe)
	case errors.Is(err, context.DeadlineExceeded):
		p.Status, p.Detail = http.StatusServiceUnavailable, "the answer took too long"
	}
	if p.Status == http.StatusInternalServerError {
		p.Detail = "this is a fault of ours; it has been logged under the request id"
	}
	p.Title = http.StatusText(p.Status)
	if entities.KindOf(err) == entities.OutcomeUnknown {
		p.Type, p.Title = outcomeUnknown, "Outcome unknown"
		p.Detail += "; it may have happened: read it, or repeat the request with its Idempotency-Key"
	}
	return p
}

func statusOf(kind entities.Kind) int {
	switch kind {
	case entities.Invalid:
		return http.StatusBadRequest
	case entities.NotFound:
		return http.StatusNotFound
	case entities.Conflict:
		return http.StatusConflict
	case entities.PreconditionFailed:
		return http.StatusPreconditionFailed
	case entities.KeyReused:
		return http.StatusUnprocessableEntity
	case entities.Unavailable, entities.OutcomeUnknown:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

// fiberDetail words what Fiber and fasthttp find wrong with a request. Our own
// fiber.Errors, of 415, carry their words; a parser's would quote the request.
func fiberDetail(e *fiber.Error) string {
	switch e.Code {
	case http.StatusNotFound:
		return "nothing is here"
	case http.StatusMethodNotAllowed:
		return "the Allow header lists the methods that work here"
	case http.StatusRequestEntityTooLarge:
		return "the body is larger than this server takes"
	case http.StatusUnsupportedMediaType:
		return e.Message
	case http.StatusRequestHeaderFieldsTooLarge:
		return "the request line and headers are larger than this server takes"
	case http.StatusRequestTimeout:
		return "the request did not arrive in time"
	case http.StatusNotImplemented:
		return "this method is unknown here"
	default:
		return "the request is malformed"
	}
}

// answers writes the answers to failures and one log line per request.
type answers struct{ log *slog.Logger }

// logged is the middleware that answers for everything behind it.
func (a answers) logged(c fiber.Ctx) error {
	start := time.Now()
	ctx, event := requestlog.With(c.Context())
	c.SetContext(ctx)

	err := c.Next()
	if err == nil && !c.Matched() {
		// fasthttp refused the request before it could be routed. Fiber passes
		// it by the middleware first, then calls refused with the error.
		return nil
	}
	if err != nil {
		if writeErr := writeProblem(c, err); writeErr != nil {
			return writeErr
		}
	}
	if servers := event.ServedBy(); servers != "" && (c.Method() == fiber.MethodGet || c.Method() == fiber.MethodHead) {
		c.Set(headerServedBy, servers)
	}
	a.line(c, time.Since(start), event, err)
	return nil
}

// refused answers what never reached a route: what fasthttp cannot parse or
// finds too large or too slow, and methods unknown to Fiber.
func (a answers) refused(c fiber.Ctx, err error) error {
	if requestID(c) == "" {
		assignRequestID(c)
	}
	writeErr := writeProblem(c, err)
	a.line(c, 0, nil, err)
	return writeErr
}

func writeProblem(c fiber.Ctx, err error) error {
	p := problemOf(err)
	p.RequestID = requestID(c)
	if p.Status == http.StatusServiceUnavailable {
		c.Set(fiber.HeaderRetryAfter, "1")
	}
	return c.Status(p.Status).JSON(p, mimeProblem)
}

// line logs the request: its route, never its path or query, which hold
// personal data. Our failures are errors, the clients' are not.
func (a answers) line(c fiber.Ctx, took time.Duration, event *requestlog.Event, err error) {
	status := c.Response().StatusCode()
	level := slog.LevelInfo
	if status >= http.StatusInternalServerError && status != http.StatusNotImplemented { // 501: the client's method
		level = slog.LevelError
	}
	if !a.log.Enabled(c.Context(), level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("request_id", requestID(c)),
		slog.String("method", c.Method()),
		slog.String("route", route(c)),
		slog.Int("status", status),
		slog.Float64("duration_ms", float64(took.Microseconds())/1000),
	}
	attrs = append(attrs, event.Attrs()...)
	if err != nil {
		attrs = append(attrs, slog.String("err", logText(err)))
	}
	a.log.LogAttrs(c.Context(), level, "request", attrs...)
}

// logText is what the log says of an error: everything, but for those of the
// HTTP parser, which quote the request.
func logText(err error) string {
	var fe *fiber.Error
	if errors.As(err, &fe) {
		return fiberDetail(fe)
	}
	return err.Error()
}

// route is the pattern that matched, "/api/v1/users/:id", or nothing.
func route(c fiber.Ctx) string {
	if !c.Matched() {
		return ""
	}
	return c.FullPath()
}
