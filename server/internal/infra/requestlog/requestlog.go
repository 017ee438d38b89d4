// Package requestlog carries what the layers below learn about a request up to
// the one line that is logged of it.
package requestlog

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
)

// Event is what is known about a request so far. Its methods may be called by
// several goroutines, and on nil, as they are outside of a request.
type Event struct {
	mu       sync.Mutex
	shard    string
	fallback string
	missing  []string
	servers  []server
}

type server struct{ shard, name string }

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

// Served notes which of a shard's servers answered.
func (e *Event) Served(shard, name string) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range e.servers {
		if e.servers[i].shard == shard {
			e.servers[i].name = name
			return
		}
	}
	e.servers = append(e.servers, server{shard, name})
}

// ServedBy lists the servers that answered, in the order of their shards:
// "shard-0/replica, shard-1/primary". It is empty if none did.
func (e *Event) ServedBy() string {
	if e == nil {
		return ""
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	slices.SortFunc(e.servers, func(a, b server) int { // shard-2 before shard-10
		return cmp.Or(cmp.Compare(len(a.shard), len(b.shard)), cmp.Compare(a.shard, b.shard))
	})
	var list strings.Builder
	for i, s := range e.servers {
		if i > 0 {
			list.WriteString(", ")
		}
		list.WriteString(s.shard + "/" + s.name)
	}
	return list.String()
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

// Missing notes why an answer went without a shard, for a client who is lenient.
func (e *Event) Missing(reason string) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.missing = append(e.missing, reason)
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
	if len(e.missing) > 0 {
		attrs = append(attrs, slog.Any("missing", e.missing))
	}
	return attrs
}
