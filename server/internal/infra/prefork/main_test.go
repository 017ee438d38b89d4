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
	if IsCompanion() {
		return Accompany(ctx, func(ctx context.Context) error {
			log.Info("companion", "pid", os.Getpid(), "handed", os.Getenv("HANDED"))
			<-ctx.Done()
			return nil
		})
	}
	if !IsWorker() {
		rolls := make(chan os.Signal, 1)
		signal.Notify(rolls, syscall.SIGHUP)
		m := &Master{
			Addr: os.Getenv("ADDR"), Workers: 3, Environ: []string{"HANDED=down"}, StopTimeout: 5 * time.Second, Log: log,
			Rolls: rolls, Companion: role == "be accompanied",
			Reload: func(context.Context) (Reload, error) {
				switch role {
				case "roll to what fails":
					return Reload{Environ: []string{"HANDED=down", roleVariable + "=fail"}}, nil
				case "need a restart":
					return Reload{Restart: "this is another time"}, nil
				}
				return Reload{Environ: []string{"HANDED=over"}, Companion: role == "be accompanied"}, nil
			},
		}
		return m.Run(ctx)
	}
	signal.Ignore(syscall.SIGHUP)
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
		tracked := Track(ln)
		go func() {
			<-ctx.Done()
			if errors.Is(context.Cause(ctx), ErrSucceeded) {
				_ = tracked.Yield()
				<-time.After(50 * time.Millisecond) // for what was accepted just before to be read
			}
			_ = server.Shutdown(context.WithoutCancel(ctx))
			stopServing()
		}()
		started()
		_ = server.Serve(tracked)
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
