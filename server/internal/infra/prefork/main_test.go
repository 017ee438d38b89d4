package prefork

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"
)

// These tests run this test binary as a real master with real workers, chosen
// by a variable that master and workers share.
const roleVariable = "PREFORK_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		if err := program(role); err != nil {
			fmt.Fprintln(os.Stderr, "error:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// program is a small server: GET / answers with the worker's process id, GET
// /slow after a second.
func program(role string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	if !IsWorker() {
		m := &Master{Addr: os.Getenv("ADDR"), Workers: 3, Environ: []string{"HANDED=down"}, StopTimeout: 5 * time.Second, Log: log}
		return m.Run(ctx)
	}
	switch role {
	case "fail":
		err := errors.New("no luck today")
		Fail(err)
		return err
	case "vanish":
		os.Exit(7)
	}
	return Serve(ctx, log, func(ctx context.Context, ln net.Listener, started func()) error {
		server := &http.Server{Handler: http.HandlerFunc(answer)}
		go func() {
			<-ctx.Done()
			_ = server.Shutdown(context.WithoutCancel(ctx))
			stopServing()
		}()
		started()
		_ = server.Serve(ln)
		<-served
		return nil
	})
}

// served is closed when the last answer is out: Serve of net/http returns before.
var served = make(chan struct{})

func stopServing() { close(served) }

func answer(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/slow" {
		slog.New(slog.NewJSONHandler(os.Stdout, nil)).Info("slow")
		<-time.After(time.Second)
	}
	fmt.Fprintf(w, "%d %s", os.Getpid(), os.Getenv("HANDED"))
}
