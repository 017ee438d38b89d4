package shard

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

var errSlow = fmt.Errorf("timed out: %w", context.DeadlineExceeded)

// within gives ask the time, and says so if that was the trouble. While the server
// answers others it has more, up to half of what ctx has: it is not gone then, it
// has much to do. The other server would have it all to do again, and the
// connection on which an answer comes too late has to be replaced, besides.
func (g *gate) within(ctx context.Context, timeout time.Duration, ask func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	most := timeout
	if end, ok := ctx.Deadline(); ok {
		most = max(most, time.Until(end)/2)
	}
	stop := g.watch(timeout, most, func() { cancel(errSlow) })
	defer stop()
	err := ask(ctx)
	if err != nil && errors.Is(context.Cause(ctx), errSlow) {
		return errors.Join(errSlow, err)
	}
	return err
}

// watch calls expired after the timeout or, while the server has answered somebody
// in each quarter of that, after the most.
func (g *gate) watch(timeout, most time.Duration, expired func()) (stop func() bool) {
	end := time.Now().Add(most)
	var (
		mu    sync.Mutex
		timer *time.Timer
		seen  = int64(-1)
	)
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(timeout-timeout/4, func() {
		mu.Lock()
		defer mu.Unlock()
		answers := g.queue.answers.Load()
		if answers == seen || !time.Now().Before(end) {
			expired()
			return
		}
		seen = answers
		timer.Reset(timeout / 4)
	})
	return timer.Stop
}
