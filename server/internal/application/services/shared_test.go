package services

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// countingShared counts how often it works; each time takes a second.
func countingShared(fail *atomic.Bool) (*shared[int64], *atomic.Int64) {
	var times atomic.Int64
	return &shared[int64]{
		maxAge: time.Second, timeout: 10 * time.Second, now: time.Now,
		work: func(ctx context.Context) (int64, error) {
			n := times.Add(1)
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return 0, ctx.Err()
			}
			if fail.Load() {
				return 0, errors.New("failed")
			}
			return n, nil
		},
	}, &times
}

func TestSharedWorksOnceForMany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, times := countingShared(new(atomic.Bool))
		start := time.Now()
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				if n, asOf, err := s.get(t.Context()); n != 1 || !asOf.Equal(start) || err != nil {
					t.Errorf("got %d as of %s, %v; want 1 as of %s", n, asOf, err, start)
				}
			})
		}
		wg.Wait()
		if times.Load() != 1 {
			t.Errorf("worked %d times for 1000 requests, want once", times.Load())
		}
	})
}

func TestSharedGrowsOld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := countingShared(new(atomic.Bool))
		s.maxAge = 3 * time.Second
		for _, step := range []struct {
			wait time.Duration
			want int64
		}{{0, 1}, {time.Second, 1}, {999 * time.Millisecond, 1}, {time.Millisecond, 2}} {
			// The first answer is of second 0 and given at second 1: its age counts from 0.
			time.Sleep(step.wait) //nolint:forbidigo // in a bubble whose clock jumps: it takes no time
			if got, _, err := s.get(t.Context()); got != step.want || err != nil {
				t.Errorf("after %s more: got %d, %v; want %d", step.wait, got, err, step.want)
			}
		}
	})
}

func TestSharedOutlivesItsFirstRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, times := countingShared(new(atomic.Bool))
		hasty, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, _, err := s.get(hasty); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the hasty request got %v, want its deadline", err)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			if n, _, err := s.get(t.Context()); n != 1 || err != nil {
				t.Errorf("the patient request got %d, %v; want 1", n, err)
			}
		})
		wg.Wait()
		if times.Load() != 1 {
			t.Errorf("worked %d times, want once", times.Load())
		}
	})
}

func TestSharedKeepsNoFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var fail atomic.Bool
		s, _ := countingShared(&fail)
		fail.Store(true)
		if _, _, err := s.get(t.Context()); err == nil {
			t.Error("got no error from work that fails")
		}
		fail.Store(false)
		if n, _, err := s.get(t.Context()); n != 2 || err != nil {
			t.Errorf("got %d, %v; want 2 at the second try", n, err)
		}
	})
}

func TestSharedGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := countingShared(new(atomic.Bool))
		s.timeout = time.Millisecond
		if _, _, err := s.get(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the work's own deadline", err)
		}
	})
}
