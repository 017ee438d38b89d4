package services

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// shared gives many requests one answer. However many ask, the work is done by
// one at a time and not again while its answer is younger than maxAge.
type shared[T any] struct {
	maxAge  time.Duration
	timeout time.Duration
	now     func() time.Time
	work    func(context.Context) (T, error)

	flight singleflight.Group
	mu     sync.Mutex
	value  T
	asOf   time.Time // when the work began; an answer is never newer than that
}

// get returns the value and the time it stands for. Failures are not kept.
func (s *shared[T]) get(ctx context.Context) (T, time.Time, error) {
	if value, asOf, ok := s.fresh(); ok {
		return value, asOf, nil
	}
	// The work outlives the request that happens to be first: others wait for it.
	done := s.flight.DoChan("", func() (any, error) { return nil, s.refresh(context.WithoutCancel(ctx)) })
	var zero T
	select {
	case <-ctx.Done():
		return zero, time.Time{}, fmt.Errorf("wait for a shared answer: %w", ctx.Err())
	case result := <-done:
		if result.Err != nil {
			return zero, time.Time{}, result.Err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.value, s.asOf, nil
}

func (s *shared[T]) fresh() (value T, asOf time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.value, s.asOf, !s.asOf.IsZero() && s.now().Sub(s.asOf) < s.maxAge
}

func (s *shared[T]) refresh(ctx context.Context) error {
	if _, _, ok := s.fresh(); ok { // another flight landed between our look and ours
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	asOf := s.now()
	value, err := s.work(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.value, s.asOf = value, asOf
	return nil
}
