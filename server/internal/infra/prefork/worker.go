package prefork

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strconv"
	"sync"

	"github.com/valyala/fasthttp/prefork"
)

// ErrSucceeded is the cause of a worker's end that has a successor, who already
// serves on the same socket.
var ErrSucceeded = errors.New("a successor serves")

// Serve runs serve on the socket that the master handed down, on a single
// processor. The context that serve gets is done with ctx; or when the master
// is: a worker without a master drains and leaves; or, with the cause
// ErrSucceeded, when the master has another worker in its place. serve calls
// started once it answers.
func Serve(ctx context.Context, log *slog.Logger, serve func(ctx context.Context, ln net.Listener, started func()) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	leaving := make(chan os.Signal, 1)
	signal.Notify(leaving, leave)
	defer signal.Stop(leaving)
	go func() {
		select {
		case <-leaving:
			cancel(ErrSucceeded)
		case <-ctx.Done():
		}
	}()
	worker := &prefork.Prefork{
		Logger:        fleetLog{log, func() bool { return false }},
		OnMasterDeath: func() { cancel(nil) },
		ServeFunc: func(ln net.Listener) error {
			return serve(ctx, ln, func() { report(ready) })
		},
	}
	return worker.ListenAndServe("")
}

// Shared returns one of the files that the master's Share made. A worker, or the
// companion, calls it once for each and closes the file.
func Shared(i int) *os.File { return os.NewFile(uintptr(sharedFD+i), "shared") }

// Slot is the number of this worker's slot, from 0 on. Its successors have the same,
// and while workers are rolled it is shared by two.
func Slot() int {
	n, _ := strconv.Atoi(os.Getenv(slotVariable)) // the master's own number
	return n
}

// Fail tells the master why this worker cannot start. It does nothing once
// serve has called started.
func Fail(err error) { report(err.Error()) }

// reportOnce guards the descriptor: once closed, its number may be another file's.
var reportOnce sync.Once

// report tells the master how the start of this worker went.
func report(text string) {
	reportOnce.Do(func() {
		pipe := os.NewFile(reportFD, "report")
		_, _ = pipe.WriteString(text) // a master that is gone needs no report
		_ = pipe.Close()
	})
}
