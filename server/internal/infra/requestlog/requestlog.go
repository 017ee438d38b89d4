// Package requestlog carries what the layers below learn about a request up to
// the one line that is logged of it.
package requestlog

import (
	"context"
	"log/slog"
	"sync"
)

// Event is what is known about a request so far. Its methods may be called by
// several goroutines, and on nil, as they are outside of a request.
type Event struct {
	mu       sync.Mutex
	shard    string
	fallback string
}

type key struct{}

// With returns a context that carries a new Event, and the Event.
func With(ctx context.Context) (context.Context, *Event) {
	e := &Event{}
	return context.WithValue(ctx, key{}, e), e
}

// From returns the context's Event, or nil.
func From(ctx context.Context) *Event {
	e, _ := ctx.Value(key{}).(*Event)
	return e
}

// Shard notes the shard that served the request.
func (e *Event) Shard(name string) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.shard = name
}

// Fallback notes why a primary answered in its replica's stead.
func (e *Event) Fallback(reason string) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fallback = reason
}

// Attrs returns what is known, under the names used in every log.
func (e *Event) Attrs() (attrs []slog.Attr) {
	if e == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.shard != "" {
		attrs = append(attrs, slog.String("shard", e.shard))
	}
	if e.fallback != "" {
		attrs = append(attrs, slog.String("fallback", e.fallback))
	}
	return attrs
}
