package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
)

const (
	calm    = 2 * time.Second  // without a failure, before and after each fault
	longest = 60 * time.Second // to heal; no promise is as long
	shown   = 20               // broken promises that are told; the rest is counted
)

// chaos is one run.
type chaos struct {
	url     string
	id      string // new for each run, so that addresses are
	ring    *shard.Ring
	victim  string // the shard whose servers suffer
	clients int
	hold    time.Duration
	faults  []fault
	system  system
	out     io.Writer

	people people
	log    journal

	mu     sync.Mutex
	broken int
}

// run does all faults under load, and proves what must be true at the end.
func (c *chaos) run(ctx context.Context) error {
	c.id = fmt.Sprint(time.Now().Unix())
	load, stop := context.WithCancel(ctx)
	defer stop()
	var clients sync.WaitGroup
	for i := range c.clients {
		clients.Go(func() { newClient(c, i).run(load) })
	}
	err := c.allFaults(ctx)
	stop()
	clients.Wait()
	if err != nil {
		return err
	}
	if err := c.prove(ctx); err != nil {
		return err
	}
	if c.broken > 0 {
		return fmt.Errorf("%d %w", c.broken, errBroken)
	}
	return nil
}

func (c *chaos) allFaults(ctx context.Context) error {
	if _, err := c.awaitCalm(ctx, time.Now()); err != nil {
		return fmt.Errorf("before the first fault: %w", err)
	}
	c.head()
	for _, f := range c.faults {
		if err := c.do(ctx, f); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return ctx.Err()
}

// do does one fault, and judges what clients met with from its beginning until
// all was calm again.
func (c *chaos) do(ctx context.Context, f fault) error {
	begun := time.Now()
	if err := f.begin(ctx, c.system); err != nil {
		return err
	}
	if f.end != nil {
		sleepErr := sleep(ctx, c.hold) // the fault is this time
		if err := errors.Join(f.end(context.WithoutCancel(ctx), c.system), sleepErr); err != nil {
			return err
		}
	}
	over := time.Now()
	last, err := c.awaitCalm(ctx, over)
	if err != nil {
		return err
	}
	events := c.log.since(begun)
	m := measure(events, begun, time.Now())
	m.healed = max(0, last.Sub(over))
	m.broken = c.judge(f, events)
	c.row(f, m)
	return nil
}

// awaitCalm waits until no request has failed for a while, and some were
// answered. It returns when the last failed one ended, or the zero time.
func (c *chaos) awaitCalm(ctx context.Context, from time.Time) (last time.Time, err error) {
	for {
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return last, err
		}
		answers, now := 0, time.Now()
		for _, e := range c.log.since(from) {
			if e.outcome == answered {
				answers++
			} else if e.ended.After(last) {
				last = e.ended
			}
		}
		waits := c.log.oldest() // a request that hangs is no calm
		if now.Sub(from) >= calm && now.Sub(last) >= calm && answers > 0 && now.Sub(waits) < calm {
			return last, nil
		}
		if now.Sub(from) > longest {
			return last, fmt.Errorf("not healed after %s", longest)
		}
	}
}

// judge counts the requests that ended as the fault's promise does not allow.
func (c *chaos) judge(f fault, events []event) (broken int) {
	for _, e := range events {
		allowed := true
		switch e.outcome {
		case answered:
		case refused:
			allowed = f.promise.refused && e.blames(c.victim) || f.promise.late
		case cut:
			allowed = f.promise.cut
		case hung:
			allowed = false
		case wrong:
			broken++ // and was told when it came
		}
		if !allowed {
			broken++
			c.blame("%s: %s", f.name, e)
		}
	}
	return broken
}

// blame tells of a broken promise.
func (c *chaos) blame(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken++; c.broken <= shown {
		fmt.Fprintf(c.out, "BROKEN %s\n", fmt.Sprintf(format, args...))
	} else if c.broken == shown+1 {
		fmt.Fprintln(c.out, "BROKEN and more, which are only counted")
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
