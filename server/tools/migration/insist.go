package main

import (
	"context"
	"time"
)

// deadlock is PostgreSQL's name for two that wait for each other; one of them is ended.
const deadlock = "40P01"

// insist calls do, which takes locks in a transaction, again and again while it fails because a lock was not free, for LockPatience in
// all. In the pauses the traffic that queued behind it passes.
func (p *primary) insist(ctx context.Context, say func(format string, args ...any), do func() error) error {
	deadline := time.Now().Add(p.set.LockPatience)
	for attempt := 1; ; attempt++ {
		err := do()
		if !isCode(err, lockNotAvailable) && !isCode(err, deadlock) || time.Now().After(deadline) {
			return err
		}
		say("a lock was not free in time, attempt %d: letting the traffic pass, trying again", attempt)
		pause := time.NewTimer(p.set.LockTimeout)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return err
		}
	}
}
