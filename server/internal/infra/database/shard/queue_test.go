package shard

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestQueueFollowsTheServer floods a server that has two connections, at ten
// times what it can do. Nearly as many are answered as by a server that is kept busy
// without a flood, nobody waits too long, and the others are refused at once.
func TestQueueFollowsTheServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const (
			conns, each = 2, 20 * time.Millisecond // 100 a second
			length      = 20 * time.Second
		)
		tasks := newTasks()
		t.Cleanup(tasks.stop)
		g := newGate("shard-0", fromPrimary, conns, testTime, testPatience, func(context.Context) error { return nil },
			new(atomic.Int64), slog.New(slog.DiscardHandler), tasks)
		pool := make(chan struct{}, conns)
		var answered, refused, late, other atomic.Int64
		ask := func() {
			ctx, cancel := context.WithTimeout(t.Context(), testTime)
			defer cancel()
			began := time.Now()
			err := g.admit()
			if err == nil {
				defer g.leave()
				_, err = g.once(ctx, func() error {
					select {
					case pool <- struct{}{}:
					case <-ctx.Done():
						return notSent{ctx.Err()}
					}
					defer func() { <-pool }()
					<-time.After(each)
					return nil
				})
			}
			switch {
			case err == nil:
				answered.Add(1)
			case !errors.Is(err, ErrRefused):
				other.Add(1)
			case time.Since(began) > 0:
				late.Add(1)
			default:
				refused.Add(1)
			}
		}
		var wg sync.WaitGroup
		for range int(length / time.Millisecond) { // 1,000 a second
			wg.Go(ask)
			<-time.After(time.Millisecond)
		}
		wg.Wait()
		peak := int64(conns * length / each)
		t.Logf("%d answered of %d that can be, %d refused at once, %d late, %d failed otherwise", answered.Load(), peak, refused.Load(), late.Load(), other.Load())
		if answered.Load() < peak*95/100 {
			t.Errorf("%d are answered, want %d", answered.Load(), peak)
		}
		if late.Load() > 0 || other.Load() > peak/2 { // those who came before the rate was known
			t.Errorf("%d are refused late, %d fail in the queue", late.Load(), other.Load())
		}
	})
}

// TestQueueBearsABurst while nothing is known of the server's rate: at first,
// after a calm, while few are inside, and while connections are made.
func TestQueueBearsABurst(t *testing.T) {
	t.Parallel()
	const all = 8 + maxWaiting
	q := queue{open: 8, most: time.Second}
	at, answers := time.Now(), int64(0)
	after := func(passed time.Duration, more int64, growing bool, want int64, when string) {
		t.Helper()
		at, answers = at.Add(passed), answers+more
		if got := q.room(at, answers, growing); got != want {
			t.Errorf("%s %d may be inside, want %d", when, got, want)
		}
	}
	after(0, 0, false, all, "at first")
	for range windows {
		after(rateWindow, 1, true, all, "while connections are made")
	}
	for range enoughWindows - 1 {
		after(rateWindow, 100, false, all, "at 400 answers a second, at first")
	}
	for range windows {
		after(rateWindow, 100, false, 400, "at 400 answers a second")
	}
	after(rateWindow/2, 0, false, 400, "within a window")
	for range windows - 1 {
		after(rateWindow, 0, false, 400, "in a pause")
	}
	after(rateWindow, 0, false, minInside, "after a long pause")
	after(rateWindow, 0, true, minInside, "when a connection is replaced")
	q.left(minInside - 1)
	after(rateWindow, 5, false, all, "when few were inside")
	after(time.Minute, 0, false, all, "after a calm")
}
