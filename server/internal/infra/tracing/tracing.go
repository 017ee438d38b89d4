// Package tracing sends spans of what a worker does to a collector, by OTLP over HTTP.
//
// OpenTelemetry's SDK reads its own settings from the environment. It sends beside the
// requests, and drops spans that a collector does not take in time: who hangs or is
// gone there costs spans and nothing else.
package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

const (
	// flushPatience is how long a worker that ends waits for the collector.
	flushPatience = time.Second
	// complaintPause passes between two lines in the log on what is not sent.
	complaintPause = time.Minute
)

// Traces is where a worker's spans go.
type Traces struct{ provider *sdk.TracerProvider }

// Open connects to nothing yet. The service goes by the name unless OTEL_SERVICE_NAME
// or OTEL_RESOURCE_ATTRIBUTES say otherwise.
func Open(ctx context.Context, name string, log *slog.Logger) (*Traces, error) {
	complain(log)
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	who, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(semconv.ServiceName(name)),
		resource.WithHost(), resource.WithProcessPID(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("traces: OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	return &Traces{sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(who))}, nil
}

// complain has the log tell what the SDK cannot do, once in a while.
func complain(log *slog.Logger) {
	var last atomic.Int64
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		now := time.Now().UnixNano()
		before := last.Load()
		if now-before >= int64(complaintPause) && last.CompareAndSwap(before, now) {
			log.Warn("traces are not sent", "err", err.Error())
		}
	}))
}

// Tracer is what makes spans.
func (t *Traces) Tracer() trace.Tracer { return t.provider.Tracer("messenger_server") }

// Close sends what there is, if the collector takes it.
func (t *Traces) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), flushPatience)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		otel.Handle(err)
	}
}
