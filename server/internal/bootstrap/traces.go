package bootstrap

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel/trace"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/tracing"
)

// openTraces returns where a worker's spans go, nil where it makes none. The Tracer is
// nil then, too: nothing is built that would ask whether there is one.
func openTraces(cfg config.Config, log *slog.Logger) (*tracing.Traces, trace.Tracer, error) {
	if !cfg.Traces() {
		return nil, nil, nil
	}
	traces, err := tracing.Open(context.Background(), applicationName, log)
	if err != nil {
		return nil, nil, err
	}
	return traces, traces.Tracer(), nil
}
