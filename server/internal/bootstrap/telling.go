package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/metrics"
)

// tellInterval is how often a worker tells how it is.
const tellInterval = 500 * time.Millisecond

// tell tells those who operate the server how this worker is, until ctx is done.
func (a *Application) tell(ctx context.Context) {
	tick := time.NewTicker(tellInterval)
	defer tick.Stop()
	for {
		phase := metrics.Starting
		switch {
		case a.draining.Load():
			phase = metrics.Draining
		case a.serving.Load():
			phase = metrics.Serving
		}
		a.worker.Tell(phase, int(a.http.Server().GetOpenConnectionsCount()), a.router.States())
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// servePprof lets the admin's process look into this one. It listens on loopback, as
// the admin port does; close it when the worker ends.
func servePprof() (port int, closeServer func() error, err error) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, nil, fmt.Errorf("pprof: %w", err)
	}
	addr, ok := ln.Addr().(*net.TCPAddr)
	if !ok {
		return 0, nil, errors.Join(fmt.Errorf("pprof: listen on a %T", ln.Addr()), ln.Close())
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}
	go func() { _ = server.Serve(ln) }() // until it is closed
	return addr.Port, server.Close, nil
}
