package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

// pollInterval is how often a condition is looked at again while it is awaited.
const pollInterval = 100 * time.Millisecond

// steps tells a person what is being started and how long it took.
type steps struct {
	mu sync.Mutex
	w  io.Writer
}

func newSteps(w io.Writer) *steps { return &steps{w: w} }

func (p *steps) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.w, format+"\n", args...)
}

// step announces what, does it, and says how long it took.
func (p *steps) step(doing, done, what string, do func() error) error {
	p.say("%-10s %s", doing, what)
	began := time.Now()
	if err := do(); err != nil {
		return err
	}
	p.say("%-10s %-58s %5.1f s", done, what, time.Since(began).Seconds())
	return nil
}

// pause waits for one poll interval, or for the end of ctx.
func pause(ctx context.Context) error {
	timer := time.NewTimer(pollInterval)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
