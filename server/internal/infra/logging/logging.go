// Package logging writes what is logged without ever waiting for who reads it: a
// pipe that nobody empties (a terminal that is paused, a collector without a
// processor) holds up no request. And it writes many lines at once: one write for
// each costs the system more than the line does, and the reader as much again.
package logging

import (
	"context"
	"io"
	"log/slog"
	"os"
)

// Log writes lines of JSON. The last of them are written by Flush.
type Log struct {
	*slog.Logger
	lines *lines
}

// New returns a Log that writes to w what is of the level or worse, with this process's id.
func New(w io.Writer, level slog.Leveler) Log {
	options := &slog.HandlerOptions{Level: level}
	pid := []slog.Attr{slog.Int("pid", os.Getpid())}
	l := &lines{w: w, turn: make(chan struct{}, 1)}
	l.report = slog.New(slog.NewJSONHandler(&l.next, options).WithAttrs(pid))
	return Log{slog.New(handler{slog.NewJSONHandler(l, options).WithAttrs(pid), l}), l}
}

// Flush writes what still waits, for a second at most: a process that ends waits no longer for who reads it.
func (l Log) Flush() { l.lines.flush() }

// handler hastens what is urgent.
type handler struct {
	slog.Handler
	lines *lines
}

// Handle implements slog.Handler.
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	err := h.Handler.Handle(ctx, r)
	if r.Level > slog.LevelInfo {
		h.lines.hasten()
	}
	return err
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs), h.lines}
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler {
	return handler{h.Handler.WithGroup(name), h.lines}
}
