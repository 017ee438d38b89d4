package shard

import (
	"context"
	"sync"
)

// tasks are what goes on beside requests, until it is stopped.
type tasks struct {
	ctx    context.Context //nolint:containedctx // their life is that of the Router, not of a call
	cancel context.CancelFunc
	mu     sync.Mutex // held to start one, so that none starts once they are stopped
	wg     sync.WaitGroup
}

func newTasks() *tasks {
	ctx, cancel := context.WithCancel(context.Background())
	return &tasks{ctx: ctx, cancel: cancel}
}

// start tells whether the task was started.
func (t *tasks) start(task func(context.Context)) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ctx.Err() != nil {
		return false
	}
	t.wg.Go(func() { task(t.ctx) })
	return true
}

func (t *tasks) stop() {
	t.mu.Lock()
	t.cancel()
	t.mu.Unlock()
	t.wg.Wait()
}
