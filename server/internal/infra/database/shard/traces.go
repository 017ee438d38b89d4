package shard

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/metrics"
)

// spans makes a span of what a request asks of one server, from when it comes to the
// gate until it is answered. It has an event when a statement is sent. One that many
// wait for is in the span of each, with their number: a span of its own would belong to
// one of their traces and be missing in the others, and sampled by chance.
type spans struct {
	tracer trace.Tracer
	name   string
	shared trace.SpanStartEventOption
}

// newSpans returns nil where nothing is traced.
func newSpans(tracer trace.Tracer, shard, server string) *spans {
	if tracer == nil {
		return nil
	}
	return &spans{tracer, shard + " " + server, trace.WithAttributes(
		semconv.DBSystemNamePostgreSQL, attribute.String("messenger.shard", shard), attribute.String("messenger.server", server),
	)}
}

// insideKey is where a context has the spans of which it is in one.
type insideKey struct{}

// around calls ask in a span, unless the request is in one of this server already:
// it waited with others, and now goes alone.
func (s *spans) around(ctx context.Context, g *gate, ask func(context.Context) error) error {
	if ctx.Value(insideKey{}) == s {
		return ask(ctx)
	}
	ctx, span := s.tracer.Start(context.WithValue(ctx, insideKey{}, s), s.name, trace.WithSpanKind(trace.SpanKindClient), s.shared)
	defer span.End()
	err := ask(ctx)
	outcome := outcomeOf(ctx, err)
	if errors.Is(err, g.away) {
		outcome = metrics.GateShut
	}
	span.SetAttributes(attribute.String("messenger.outcome", outcome.String()))
	if outcome != metrics.Answered && outcome != metrics.Refused {
		span.SetStatus(codes.Error, err.Error())
	}
	return err
}

// together is a context whose span is all of those who wait for a statement.
func together[I, O any](ctx context.Context, calls []*call[I, O]) context.Context {
	all := make(many, 0, len(calls))
	for _, c := range calls {
		if c.span.IsRecording() {
			c.span.SetAttributes(semconv.DBOperationBatchSize(len(calls)))
			all = append(all, c.span)
		}
	}
	if len(all) == 0 {
		return ctx
	}
	return trace.ContextWithSpan(ctx, everySpan{all[0], all})
}

type many []trace.Span

// everySpan has events in all of them.
type everySpan struct {
	trace.Span

	all many
}

// AddEvent implements trace.Span.
func (s everySpan) AddEvent(name string, options ...trace.EventOption) {
	for _, span := range s.all {
		span.AddEvent(name, options...)
	}
}

// statements notes in the request's span when a statement is sent. It has no
// arguments, which hold personal data.
type statements struct{}

// TraceQueryStart implements pgx.QueryTracer.
func (statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, sent pgx.TraceQueryStartData) context.Context {
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.AddEvent("statement", trace.WithAttributes(semconv.DBQueryText(sent.SQL)))
	}
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
