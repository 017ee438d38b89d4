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
		var answered, refused, late, other atomic.Int64
		ask := func() {
			ctx, cancel := context.WithTimeout(t.Context(), testTime)
			defer cancel()
			began := time.Now()
			err := g.admit()
			if err == nil {
				defer g.leave()
				_, err = g.once(ctx, func() error {
					if err := g.turn(ctx); err != nil {
						return err
					}
					defer g.turns.done()
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
		if most := peak / 5; late.Load() > most || other.Load() > 0 { // those who came before the rate was known
			t.Errorf("%d are refused late, want %d, %d fail in the queue", late.Load(), most, other.Load())
		}
	})
}

// TestQueueBearsABurst while nothing is known of the server's rate: at first,
// while few are inside, and while connections are made. A pause changes nothing.
func TestQueueBearsABurst(t *testing.T) {
	t.Parallel()
	const all = 8 + maxWaiting
	q := queue{open: 8, most: time.Second}
	at, answers := time.Now(), int64(0)
	after := func(passed time.Duration, more int64, growing bool, want int64, when string) {
		t.Helper()
		at, answers = at.Add(passed), answers+more
		q.look(at, answers, growing)
		if got := q.limit(at); got != want {
			t.Errorf("%s %d may be inside, want %d", when, got, want)
		}
	}
	after(0, 0, false, all, "at first")
	for range windows {
		after(rateWindow, 1, true, all, "while connections are made")
	}
	for range windows {
		q.left(q.calmBelow() - 1)
		after(rateWindow, 1, false, all, "while few are inside")
	}
	after(rateWindow, 100, false, all, "at 400 answers a second, at first")
	after(rateWindow, 80, false, all, "at 400 answers a second, after a moment")
	after(rateWindow, 90, false, 800, "at 400 answers a second, soon")
	for range windows {
		after(rateWindow, 100, false, 400, "at 400 answers a second")
	}
	after(rateWindow/2, 0, false, 400, "within a window")
	for range 2 * windows {
		after(rateWindow, 0, false, 400, "in a pause")
	}
	for range windows {
		q.left(q.calmBelow() - 1)
		after(rateWindow, 1, false, 400, "after a calm")
	}
	for range enoughWindows - 1 {
		after(rateWindow, 50, false, 400, "when it has been slower for a moment")
	}
	for range windows {
		after(rateWindow, 50, false, 200, "when it is slower")
	}
	for range windows * 3 / 4 {
		after(rateWindow, 1, false, 200, "when it has been slow for seconds")
	}
	after(rateWindow, 1, false, q.always(), "when it is slow")
	for range windows/4 - 1 {
		after(rateWindow, 100, false, q.always(), "when it has been fast for a moment")
	}
	after(rateWindow, 100, false, 400, "when it is faster")
	for want := int64(400); want >= 400>>maxCuts; want /= 2 {
		if q.admits(want+1, at, answers, 1, false) || !q.admits(want, at, answers, 1, false) {
			t.Errorf("%d are not the most that are let in", want)
		}
		after(rateWindow, 100, false, max(want/2, 400>>maxCuts), "when it stays full")
	}
	if !q.admits(60, at, answers, 60, false) {
		t.Error("who need not wait is not let in")
	}
	for want := int64(100); want <= 400; want *= 2 {
		after(rateWindow, 100, false, want, "when it is full no more")
	}
	after(memory, 0, false, all, "after a long calm")
}
