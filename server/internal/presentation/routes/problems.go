package routes

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/requestlog"
	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/problems"
)

// headerServedBy says which servers an answer was read from.
const headerServedBy = "X-Served-By"

// problemOf is where an error becomes an answer. What is shown are words of
// ours: an error's own text may hold SQL, addresses or personal data.
func problemOf(err error) problems.Body {
	var (
		e  *entities.Error
		pe *problems.Error
		fe *fiber.Error
		p  problems.Body
		t  = problems.InternalError
	)
	switch {
	case errors.As(err, &e) && e.Kind != entities.Internal:
		t, p.Detail, p.Shards = typeOf(e.Kind), e.Message, e.Shards
		for _, f := range e.Fields {
			p.Errors = append(p.Errors, problems.FieldError{Field: f.Field, Detail: f.Message})
		}
	case errors.As(err, &pe):
		t, p.Detail = pe.Type, pe.Detail
	case errors.As(err, &fe):
		t, p.Detail = typeOfStatus(fe.Code)
	case errors.Is(err, context.DeadlineExceeded):
		t, p.Detail = problems.Timeout, "the answer took too long"
	}
	switch t {
	case problems.InternalError:
		p.Detail = "this is a fault of ours; it has been logged under the request id"
	case problems.OutcomeUnknown:
		p.Detail += "; it may have happened: read it, or repeat the request with its Idempotency-Key"
	}
	p.Type, p.Title, p.Status = t.URL(), t.Title, t.Status
	return p
}

func typeOf(kind entities.Kind) *problems.Type {
	switch kind {
	case entities.Invalid:
		return problems.InvalidInput
	case entities.NotFound:
		return problems.UserNotFound
	case entities.Conflict:
		return problems.EmailTaken
	case entities.PreconditionFailed:
		return problems.VersionChanged
	case entities.KeyReused:
		return problems.KeyReused
	case entities.Unavailable:
		return problems.ShardUnavailable
	case entities.Contended:
		return problems.Contended
	case entities.OutcomeUnknown:
		return problems.OutcomeUnknown
	default:
		return problems.InternalError
	}
}

// typeOfStatus is the type of what Fiber and fasthttp find wrong with a request,
// and a detail: a parser's own words would quote the request.
func typeOfStatus(status int) (t *problems.Type, detail string) {
	switch status {
	case http.StatusNotFound:
		return problems.NotFound, "nothing is here"
	case http.StatusMethodNotAllowed:
		return problems.MethodNotAllowed, "the Allow header lists the methods that work here"
	case http.StatusRequestEntityTooLarge:
		return problems.TooLarge, "the body is larger than this server takes"
	case http.StatusRequestURITooLong:
		return problems.TargetTooLong, "the request line is longer than this server takes"
	case http.StatusRequestHeaderFieldsTooLarge:
		return problems.HeadersTooLarge, "the request line and headers are larger than this server takes"
	case http.StatusRequestTimeout:
		return problems.RequestTimeout, "the request did not arrive in time"
	case http.StatusNotImplemented:
		return problems.MethodUnknown, "this method is unknown here"
	default:
		return problems.MalformedRequest, "the request is malformed"
	}
}

// answers writes the answers to failures, and has each request counted and logged once.
type answers struct {
	log      *slog.Logger
	observer Observer
	traced   bool
}

// logged is the middleware that answers for everything behind it.
func (a answers) logged(c fiber.Ctx) error {
	start := time.Now()
	ctx, event := requestlog.With(c.Context())
	c.SetContext(ctx)

	err := c.Next()
	if options(c, err) {
		err = nil
	} else if err == nil && !c.Matched() {
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

// refused answers what never reached the middleware: what fasthttp cannot parse
// or finds too large or too slow, what guard refuses, and the target *.
func (a answers) refused(c fiber.Ctx, err error) error {
	if requestID(c) == "" {
		assignRequestID(c)
	}
	var writeErr error
	if options(c, err) {
		err = nil
	} else {
		writeErr = writeProblem(c, err)
		c.Response().SkipBody = c.Method() == fiber.MethodHead
	}
	a.line(c, 0, nil, err)
	return writeErr
}

func writeProblem(c fiber.Ctx, err error) error {
	p := problemOf(err)
	p.RequestID = requestID(c)
	p.Instance = instance(c)
	if p.Status == http.StatusServiceUnavailable {
		c.Set(fiber.HeaderRetryAfter, "1")
	}
	return c.Status(p.Status).JSON(p, problems.MediaType)
}

// localInstance is where the name of a problem's occurrence is kept for the log,
// if it is not the request's id.
type localInstance struct{}

// instance names the occurrence of a problem: by the request's id, or, where a
// client chose one that is no UUID, by a UUID of its own.
func instance(c fiber.Ctx) string {
	id, err := uuid.Parse(requestID(c))
	if err != nil {
		id = uuid.New()
		c.Locals(localInstance{}, id.String())
	}
	return id.URN()
}

// line counts the request and logs it: its route, never its path or query, which hold
// personal data. Our failures are errors, the clients' are not.
func (a answers) line(c fiber.Ctx, took time.Duration, event *requestlog.Event, err error) {
	status := c.Response().StatusCode()
	a.observer.Answered(c.Method(), route(c), status, took)
	level := slog.LevelInfo
	switch {
	case status == http.StatusNotImplemented, status == http.StatusHTTPVersionNotSupported: // the client's method, its HTTP
	case status >= http.StatusInternalServerError:
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
	if a.traced {
		if span := trace.SpanContextFromContext(c.Context()); span.IsValid() {
			attrs = append(attrs, slog.String("trace_id", span.TraceID().String()))
		}
	}
	if id, ok := c.Locals(localInstance{}).(string); ok {
		attrs = append(attrs, slog.String("instance", id))
	}
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
		_, detail := typeOfStatus(fe.Code)
		return detail
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
