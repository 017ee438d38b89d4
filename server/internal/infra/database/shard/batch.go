package shard

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
)

const (
	// batchSenders is how many statements of a batcher are on their way while its
	// server answers as usual. What comes meanwhile waits, and goes together.
	batchSenders = 1
	// maxBatch bounds what one call can hold up, and what a failure can take with it.
	maxBatch = 128
	// batchPatience is how long the first in the queue waits for those that were
	// sent, which may be stuck, before it goes in a statement beside them.
	batchPatience = 50 * time.Millisecond
)

// A batcher sends calls to one server, each alone while there are few. Calls
// that come while others are on their way wait for these to be answered, and go
// in one statement then: nobody waits for company, and the more there are the
// less each costs.
//
// Whoever stops waiting leaves the others undisturbed. What the server refuses
// of calls together is tried again by each alone, so none suffers for another.
type batcher[I, O any] struct {
	gate  *gate
	tasks *tasks // of the Router
	// together returns each one's result, or why there is none of any.
	together func(ctx context.Context, ins []I) ([]result[O], error)
	fit      func([]*call[I, O]) int // how many of them go in one statement; nil is all

	mu      sync.Mutex
	sending int           // statements on their way
	waiting []*call[I, O] // none while sending < batchSenders
	timer   *time.Timer   // of batchPatience
}

// A call is one that waits. Once done is closed it is its caller's again.
type call[I, O any] struct {
	in    I
	since time.Time
	until time.Time  // when its caller stops waiting; zero is never
	lead  bool       // it is to be sent alone, by its caller
	span  trace.Span // of its caller; nil where nothing is traced

	done chan struct{}
	result[O]
}

type result[O any] struct {
	out O
	err error
}

// errAlone marks a call that its caller is to send alone.
var errAlone = errors.New("to be sent alone")

// do has in sent to the server: alone, by that function, or together with others.
func (b *batcher[I, O]) do(ctx context.Context, in I, alone func(context.Context) (O, error)) (O, error) {
	if b.gate.spans != nil {
		return b.traced(ctx, in, alone)
	}
	return b.wait(ctx, in, alone)
}

func (b *batcher[I, O]) traced(ctx context.Context, in I, alone func(context.Context) (O, error)) (out O, err error) {
	err = b.gate.spans.around(ctx, b.gate, func(ctx context.Context) error {
		out, err = b.wait(ctx, in, alone)
		return err
	})
	return out, err
}

func (b *batcher[I, O]) wait(ctx context.Context, in I, alone func(context.Context) (O, error)) (out O, err error) {
	if b.gate.shut.Load() {
		return out, b.gate.refuse()
	}
	b.mu.Lock()
	room := b.gate.queue.together(b.gate.inside.Load(), b.gate.turns.given.Load(), time.Now())
	if err := b.gate.admit(ctx, len(b.waiting) < room); err != nil {
		b.mu.Unlock()
		return out, err
	}
	c := b.join(ctx, in)
	if b.sending < batchSenders {
		b.sending++
		b.mu.Unlock()
		runtime.Gosched() // who is about to ask, too, may join
		b.mu.Lock()
		b.next()
	}
	b.mu.Unlock()

	select {
	case <-c.done:
	case <-ctx.Done():
		err = b.leave(ctx, c)
	}
	switch {
	case err != nil:
		return out, err
	case c.lead: // who goes alone is let in anew
		defer b.sent()
		b.gate.observer.Sent(1)
		return alone(ctx)
	case errors.Is(c.err, errAlone):
		return alone(ctx)
	default:
		return c.out, c.err
	}
}

// join puts a call at the queue's end. The caller holds mu.
func (b *batcher[I, O]) join(ctx context.Context, in I) *call[I, O] {
	c := &call[I, O]{in: in, since: time.Now(), done: make(chan struct{})}
	c.until, _ = ctx.Deadline()
	if b.gate.spans != nil {
		c.span = trace.SpanFromContext(ctx)
	}
	if b.waiting = append(b.waiting, c); len(b.waiting) == 1 {
		b.watch(batchPatience)
	}
	return c
}

// leave takes a call out whose caller stops waiting. The error tells whether it
// was sent; nil, that it was just answered.
func (b *batcher[I, O]) leave(ctx context.Context, c *call[I, O]) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if at := slices.Index(b.waiting, c); at >= 0 {
		b.waiting = slices.Delete(b.waiting, at, at+1)
		return notSent{context.Cause(ctx)}
	}
	select {
	case <-c.done:
		return nil
	default:
		return context.Cause(ctx)
	}
}

// sent ends a statement, and sends those who waited for it.
func (b *batcher[I, O]) sent() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sending > batchSenders {
		b.sending--
		return
	}
	b.next()
}

// next sends those who wait, or ends the sending if nobody does. The caller
// holds mu, and has counted the statement.
func (b *batcher[I, O]) next() {
	switch len(b.waiting) {
	case 0:
		b.sending--
	case 1:
		c := b.take()[0]
		c.lead = true
		close(c.done)
	default:
		if !b.tasks.start(func(ctx context.Context) {
			runtime.Gosched()
			b.mu.Lock()
			calls := b.take()
			b.mu.Unlock()
			b.send(ctx, calls)
		}) {
			b.sending--
			fail(b.take(), notSent{errClosing})
		}
	}
}

// take takes those who have waited longest. The caller holds mu.
func (b *batcher[I, O]) take() []*call[I, O] {
	calls := b.waiting[:min(maxBatch, len(b.waiting))]
	if b.fit != nil {
		calls = calls[:b.fit(calls)]
	}
	calls = slices.Clone(calls)
	b.waiting = slices.Delete(b.waiting, 0, len(calls))
	return calls
}

func (b *batcher[I, O]) send(ctx context.Context, calls []*call[I, O]) {
	defer b.sent()
	if len(calls) == 0 {
		return
	}
	// Nobody's deadline but the last one's ends what others wait for.
	last := calls[0].until
	for _, c := range calls {
		if c.until.IsZero() || !last.IsZero() && c.until.After(last) {
			last = c.until
		}
	}
	if !last.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, last)
		defer cancel()
	}
	ins := make([]I, len(calls))
	for i, c := range calls {
		ins[i] = c.in
	}
	if b.gate.spans != nil {
		ctx = together(ctx, calls)
	}
	b.gate.observer.Sent(len(ins))
	b.gate.inside.Add(1)
	results, err := b.together(ctx, ins)
	b.gate.leave()
	switch {
	case err == nil:
		for i, c := range calls {
			c.result = results[i]
			close(c.done)
		}
	case isReply(err):
		fail(calls, errAlone) // the trouble may be with one of them
	default:
		fail(calls, err)
	}
}

func fail[I, O any](calls []*call[I, O], err error) {
	for _, c := range calls {
		c.err = err
		close(c.done)
	}
}

// watch has the queue looked at after the time. The caller holds mu.
func (b *batcher[I, O]) watch(after time.Duration) {
	if b.timer == nil {
		b.timer = time.AfterFunc(after, b.lookAfter)
		return
	}
	b.timer.Reset(after)
}

// lookAfter those who have waited for too long, while there are connections.
func (b *batcher[I, O]) lookAfter() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) == 0 {
		return
	}
	left := batchPatience - time.Since(b.waiting[0].since)
	if left <= 0 && int64(b.sending) < b.gate.open {
		b.sending++
		b.next()
		left = batchPatience
	}
	b.watch(max(left, time.Millisecond))
}
