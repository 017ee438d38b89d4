// Package logging writes what is logged in few writes: one for each line costs
// the system more than the line does, and whoever reads the pipe as much again.
package logging

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	// writeSize is what is written at once, at most, but for a line that is longer. So much
	// stays in one piece in a pipe that several processes write to (PIPE_BUF on
	// Linux; pipe(7)): their lines are not mixed.
	writeSize = 4096
	// flushInterval is for how long a line waits for others, at most. What is worse
	// than an information is written at once, with all before it.
	flushInterval = 100 * time.Millisecond
)

// Log writes lines of JSON. The last of them are written by Flush.
type Log struct {
	*slog.Logger
	lines *lines
}

// New returns a Log that writes to w what is of the level or worse.
func New(w io.Writer, level slog.Leveler) Log {
	l := &lines{w: w}
	return Log{slog.New(handler{slog.NewJSONHandler(l, &slog.HandlerOptions{Level: level}), l}), l}
}

// Flush writes what still waits.
func (l Log) Flush() error { return l.lines.flush() }

// handler flushes after what is urgent.
type handler struct {
	slog.Handler
	lines *lines
}

// Handle implements slog.Handler.
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	err := h.Handler.Handle(ctx, r)
	if r.Level > slog.LevelInfo {
		err = errors.Join(err, h.lines.flush())
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

// lines gathers lines.
type lines struct {
	w io.Writer

	mu      sync.Mutex
	waiting []byte
	timer   *time.Timer
}

// Write takes one line.
func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var err error
	if len(l.waiting)+len(line) > writeSize {
		err = l.write()
	}
	if l.waiting = append(l.waiting, line...); len(l.waiting) == len(line) {
		l.wake()
	}
	return len(line), err
}

// wake has the first that waits written in time. The caller holds mu.
func (l *lines) wake() {
	if l.timer == nil {
		l.timer = time.AfterFunc(flushInterval, func() { _ = l.flush() }) // nobody to tell: what is wrong is the log
		return
	}
	l.timer.Reset(flushInterval)
}

func (l *lines) flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.write()
}

// write writes what waits. The caller holds mu.
func (l *lines) write() error {
	if len(l.waiting) == 0 {
		return nil
	}
	_, err := l.w.Write(l.waiting)
	l.waiting = l.waiting[:0]
	return err
}
