package shard

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestSlowReadIsADeadline, whether who ran out of time says so or only why.
func TestSlowReadIsADeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, why := range []func(context.Context) error{context.Cause, context.Context.Err} {
			err := new(gate).within(t.Context(), time.Second, func(ctx context.Context) error {
				<-ctx.Done()
				return why(ctx)
			})
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want a deadline that was exceeded", err)
			}
		}
	})
}

// TestPatienceWithAServerThatAnswers others: no more than that, and only while it does.
func TestPatienceWithAServerThatAnswers(t *testing.T) {
	t.Parallel()
	const timeout, request, often = time.Second, 10 * time.Second, 100 * time.Millisecond
	for _, test := range []struct {
		name           string
		answers, least time.Duration // answers come for so long; ask has at least this, and at most half of the timeout more
	}{
		{"never", 0, timeout},
		{"until shortly before", timeout * 7 / 10, timeout},
		{"for a while", 3 * time.Second, 3 * time.Second},
		{"always", time.Minute, request / 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := new(gate)
				ctx, cancel := context.WithTimeout(t.Context(), request)
				defer cancel()
				began := time.Now()
				ticker := time.NewTicker(often)
				defer ticker.Stop()
				go func() {
					for time.Since(began) < test.answers {
						select {
						case <-ticker.C:
							g.queue.answers.Add(1)
						case <-ctx.Done():
							return
						}
					}
				}()
				err := g.within(ctx, timeout, func(ctx context.Context) error {
					<-ctx.Done()
					return ctx.Err()
				})
				if had := time.Since(began); !errors.Is(err, errSlow) || had < test.least || had > test.least+timeout/2 {
					t.Errorf("had %s and %v, want %s to %s and errSlow", had, err, test.least, test.least+timeout/2)
				}
				cancel()
				synctest.Wait()
			})
		})
	}
}
