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
			err := g.come(ctx)
			if err == nil {
				defer g.leave()
				_, err = g.once(ctx, func() error {
					if err := g.turn(ctx); err != nil {
						return err
					}
					defer g.turns.done()
					<-time.After(each)
					g.queue.busy.Add(int64(each))
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
		if most := peak / 10; late.Load() > most || other.Load() > 0 { // those who came before the rate was known
			t.Errorf("%d are refused late, want %d, %d fail in the queue", late.Load(), most, other.Load())
		}
	})
}

// TestQueueKnowsTheServer, whose answers take so long, over four connections, from few
// as from many. A pause and a slow moment change nothing.
func TestQueueKnowsTheServer(t *testing.T) {
	t.Parallel()
	const conns, all = 4, maxInside
	q := queue{most: time.Second}
	now := time.Now()
	sees := func(answers int64, each time.Duration) {
		now = now.Add(window)
		q.answers.Add(answers)
		q.busy.Add(answers * int64(each))
		q.admits(1, 1, conns, now)
		q.calm.Store(true)
	}
	must := func(want int64, when string) {
		t.Helper()
		if got := q.limit(now); got != want {
			t.Errorf("%s %d may be inside, want %d", when, got, want)
		}
	}
	must(all, "at first")
	sees(1, 10*time.Millisecond)
	must(all, "at 400 a second, at first")
	sees(1, 10*time.Millisecond)
	sees(1, 10*time.Millisecond)
	must(800, "at 400 a second, soon")
	for range windows {
		sees(1, 10*time.Millisecond)
		sees(100, 10*time.Millisecond)
	}
	must(400, "at 400 a second")
	for range 2 * windows {
		sees(0, 0)
	}
	must(400, "in a pause")
	for range windows {
		sees(1, 10*time.Millisecond)
	}
	for range windows * 3 / 4 {
		sees(1, time.Second)
	}
	must(400, "when it has been slow for a moment")
	sees(1, time.Second)
	must(minInside, "when it is slow")
	for range windows/4 - 1 {
		sees(1, 10*time.Millisecond)
	}
	must(minInside, "when it has been fast for a moment")
	sees(1, 10*time.Millisecond)
	must(400, "when it is faster")
	if q.admits(101, 4, conns, now) || !q.admits(100, 4, conns, now) {
		t.Error("who asks four times is not let in where there are a quarter of those who ask once, or is where there are more")
	}

	for want := int64(400); want >= 400>>maxCuts; want /= 2 {
		if q.admits(want+1, 1, conns, now) || !q.admits(want, 1, conns, now) {
			t.Errorf("%d are not the most that are let in", want)
		}
		sees(100, 10*time.Millisecond)
	}
	must(400>>maxCuts, "when it stays full")
	if !q.admits(60, 1, 60, now) {
		t.Error("who need not wait is not let in")
	}
	for want := int64(2 * 400 >> maxCuts); want <= 400; want *= 2 {
		sees(1, 10*time.Millisecond)
		must(want, "when it is full no more")
	}
	now = now.Add(memory)
	must(all, "after a long calm")
}

// TestQueueKnowsAFlood by what is answered in it: what one server does in a calm, many do
// not do at once on one machine.
func TestQueueKnowsAFlood(t *testing.T) {
	t.Parallel()
	const conns, many = 4, 100
	q := queue{most: time.Second}
	now := time.Now()
	sees := func(answers int64, each time.Duration, inside int64) {
		now = now.Add(window)
		q.answers.Add(answers)
		q.busy.Add(answers * int64(each))
		q.admits(inside, 1, conns, now)
	}
	must := func(want int64, when string) {
		t.Helper()
		if got := q.limit(now); got != want {
			t.Errorf("%s %d may be inside, want %d", when, got, want)
		}
	}
	for range windows {
		sees(10, 10*time.Millisecond, 1)
	}
	must(400, "in a calm")
	for range enoughWindows - 1 {
		sees(50, 20*time.Millisecond, many)
		must(400, "when it may go away by itself")
	}
	sees(50, 20*time.Millisecond, many)
	must(200, "at 200 a second, when it stays")
	sees(0, 0, many)
	sees(0, 0, many)
	must(200, "in a pause")
	for range enoughWindows {
		sees(25, 40*time.Millisecond, many)
	}
	must(150, "at 100 a second, for half of the time")
	for range enoughWindows { // fewer connections, while those before them are done
		sees(25, 160*time.Millisecond, many)
	}
	must((4*200+8*100)/12, "at 100 a second over other connections")
	for range windows {
		sees(10, 10*time.Millisecond, conns)
	}
	must(400, "when it is over")
}

// TestQueueOfThoseTogetherFollowsTheServer, also if nobody is sent alone for long.
func TestQueueOfThoseTogetherFollowsTheServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := queue{most: time.Second}
		for _, test := range []struct {
			took time.Duration
			want int
		}{{2 * time.Second, minInside}, {10 * time.Millisecond, maxInside}, {500 * time.Millisecond, maxBatch}} {
			q.together(1, 1, time.Now())
			q.busy.Add(int64(4 * test.took))
			q.sent.Add(4)
			q.answers.Add(4)
			<-time.After(window)
			if got := q.together(1, 1, time.Now()); got != test.want {
				t.Errorf("statements of %s: %d may wait, want %d", test.took, got, test.want)
			}
		}
	})
}

// TestFewTogetherAreNoFlood: after some that went together, of whom none waited for a
// connection, many may come by themselves.
func TestFewTogetherAreNoFlood(t *testing.T) {
	t.Parallel()
	const conns = 4
	q := queue{most: time.Second}
	now := time.Now()
	for range windows {
		now = now.Add(window)
		q.answers.Add(1)
		q.busy.Add(int64(10 * time.Millisecond))
		q.together(1, conns, now)
	}
	if !q.admits(400, 1, conns, now) {
		t.Errorf("%d may be inside, want 400 of whom each takes 10 ms, over %d connections", q.limit(now), conns)
	}
}

// TestVisitIsLetInOnce refuses nobody who has asked a server already.
func TestVisitIsLetInOnce(t *testing.T) {
	t.Parallel()
	tasks := newTasks()
	t.Cleanup(tasks.stop)
	g := newGate("shard-0", fromPrimary, 1, testTime, testPatience, func(context.Context) error { return nil },
		new(atomic.Int64), slog.New(slog.DiscardHandler), tasks)
	begun, late := Visit(t.Context(), 2), Visit(t.Context(), 2)
	if err := g.admit(begun, true); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := g.admit(late, false); !errors.Is(err, ErrRefused) {
			t.Errorf("who comes when it is full: %v", err)
		}
	}
	if err := g.admit(begun, false); err != nil {
		t.Errorf("who was let in before: %v", err)
	}
}

// TestRoomIsAskedFor by who comes later.
func TestRoomIsAskedFor(t *testing.T) {
	t.Parallel()
	var up atomic.Bool
	g := testGate(t, &up)
	for _, test := range []struct {
		inside     int64
		statements int
		shut       bool
		want       error
	}{{0, 4, false, nil}, {maxInside/4 - 1, 4, false, nil}, {maxInside / 4, 4, false, g.full}, {maxInside / 4, 3, false, nil}, {0, 1, true, g.away}} {
		g.inside.Store(test.inside)
		g.shut.Store(test.shut)
		if err := g.room(Visit(t.Context(), test.statements)); !errors.Is(err, test.want) || g.inside.Load() != test.inside {
			t.Errorf("%+v: got %v, %d inside", test, err, g.inside.Load())
		}
	}
}
