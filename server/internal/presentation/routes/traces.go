package routes

import (
	"github.com/gofiber/fiber/v3"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// traced makes a span of each request, below that of a caller who sent a traceparent
// (W3C Trace Context). Like the log it tells the route and not the path, which holds
// personal data.
func traced(tracer trace.Tracer) fiber.Handler {
	return func(c fiber.Ctx) error {
		ctx := propagation.TraceContext{}.Extract(c.Context(), headers{c})
		ctx, span := tracer.Start(ctx, c.Method(), trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		c.SetContext(ctx)
		err := c.Next() // which answered, whatever came of it
		if !span.IsRecording() {
			return err
		}
		status := c.Response().StatusCode()
		span.SetAttributes(
			semconv.HTTPRequestMethodKey.String(c.Method()), semconv.HTTPResponseStatusCode(status), attribute.String("messenger.request_id", requestID(c)),
		)
		if pattern := route(c); pattern != "" {
			span.SetName(c.Method() + " " + pattern)
			span.SetAttributes(semconv.HTTPRoute(pattern))
		}
		if by := c.GetRespHeader(headerServedBy); by != "" {
			span.SetAttributes(attribute.String("messenger.served_by", string([]byte(by)))) // Fiber reuses the bytes
		}
		if status >= fiber.StatusInternalServerError {
			span.SetStatus(codes.Error, "")
		}
		return err
	}
}

// headers are a request's, for the propagator.
type headers struct{ fiber.Ctx }

// Get implements propagation.TextMapCarrier.
func (h headers) Get(key string) string { return string(h.Request().Header.Peek(key)) }

// Set implements propagation.TextMapCarrier.
func (headers) Set(string, string) {}

// Keys implements propagation.TextMapCarrier.
func (headers) Keys() []string { return nil }
