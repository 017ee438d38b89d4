package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/sys/unix"
)

// openConnections are at most open to a server at a constant rate: more than a server needs that keeps up.
const openConnections = 256

// steady sends a request every 1/rate seconds, however the ones before are answered, for so long. A request's time counts from when it was
// due, not from when a connection was free, so that a server that stands still is charged for all who would have come meanwhile.
func steady(ctx context.Context, url string, path func() string, rate float64, duration time.Duration) (m measurement, err error) {
	client := &fasthttp.HostClient{
		Addr: strings.TrimPrefix(url, "http://"), MaxConns: openConnections, ReadTimeout: 10 * time.Second,
		MaxIdemponentCallAttempts: 1,
	}
	defer client.CloseIdleConnections()
	due := make(chan time.Time, int(rate*duration.Seconds())+1) // all of them: who is late must not wait for room
	var (
		mu     sync.Mutex
		took   []time.Duration
		failed int64
		said   error
		wg     sync.WaitGroup
	)
	for range openConnections {
		wg.Go(func() {
			req, res := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
			defer fasthttp.ReleaseRequest(req)
			defer fasthttp.ReleaseResponse(res)
			var mine []time.Duration
			var bad int64
			var why error
			for at := range due {
				req.Reset()
				req.SetRequestURI(url + path())
				err := client.Do(req, res)
				if err == nil && res.StatusCode() != fasthttp.StatusOK {
					err = fmt.Errorf("%d %s", res.StatusCode(), res.Body())
				}
				if err != nil {
					bad++
					why = err
					continue
				}
				mine = append(mine, time.Since(at))
			}
			mu.Lock()
			defer mu.Unlock()
			took, failed, said = append(took, mine...), failed+bad, errors.Join(said, why)
		})
	}
	begun := time.Now()
	pace(ctx, due, begun, rate, duration)
	close(due)
	wg.Wait()
	if len(took) == 0 {
		return m, fmt.Errorf("at a constant rate nothing was answered well: %w", said)
	}
	slices.Sort(took)
	at := func(share float64) time.Duration { return took[min(len(took)-1, int(share*float64(len(took))))] }
	return measurement{
		answers: int64(len(took)), failed: failed, rate: float64(len(took)) / time.Since(begun).Seconds(), p50: at(.5), p99: at(.99),
	}, ctx.Err()
}

// pace says when each request is due. It sleeps in a thread of its own: the runtime's timers come up to a millisecond late on an idle
// processor, which would count as the server's.
func pace(ctx context.Context, due chan<- time.Time, begun time.Time, rate float64, duration time.Duration) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for i := range int(rate * duration.Seconds()) {
		at := begun.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		if wait := time.Until(at); wait > 0 {
			left := unix.NsecToTimespec(int64(wait))
			_ = unix.Nanosleep(&left, nil) // a signal that ends it early makes a request early
		}
		if ctx.Err() != nil {
			return
		}
		due <- at
	}
}
