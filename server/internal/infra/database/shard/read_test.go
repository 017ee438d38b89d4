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
			err := within(t.Context(), time.Second, func(ctx context.Context) error {
				<-ctx.Done()
				return why(ctx)
			})
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want a deadline that was exceeded", err)
			}
		}
	})
}
