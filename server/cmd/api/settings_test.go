package main

import (
	"bytes"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// refuse runs the API, which must end by itself with exit code 1, and returns
// what it says.
func refuse(t *testing.T, args []string, settings ...string) string {
	t.Helper()
	cmd := command(t, settings...)
	cmd.Args = append(cmd.Args, args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("got %v, want exit code 1; stderr: %s", err, &errs)
	}
	return errs.String()
}

func TestBadSettingsAreAllNamed(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"-check-config"}} {
		got := refuse(t, args, "PORT=http", "SHARDING_CUONT=5", "DB_SSLMODE=maybe", "DB_PASSWORD=", "TEST_CLUSTER=")
		for _, want := range []string{"4 problems", `PORT: "http"`, "SHARDING_CUONT: in the environment: unknown; did you mean SHARDING_COUNT?", "DB_SSLMODE", "DB_PASSWORD: is not set"} {
			if !strings.Contains(got, want) {
				t.Errorf("%v: got %s\nwant %q in it", args, got, want)
			}
		}
	}
	if got := refuse(t, []string{"serve"}); !strings.Contains(got, `unexpected argument "serve"`) {
		t.Errorf("got %s", got)
	}
}

func TestCheckConfig(t *testing.T) {
	t.Parallel()
	cmd := command(t, "DB_PASSWORD=x")
	cmd.Args = append(cmd.Args, "-check-config")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("sound settings are refused: %v\n%s", err, out)
	}
}

func TestTakenPortIsNamed(t *testing.T) {
	testcluster.Open(t)
	s := start(t)
	addr := strings.TrimPrefix(s.url, "http://")
	_, port, _ := strings.Cut(addr, ":")
	if got := refuse(t, nil, "PORT="+port); !strings.Contains(got, addr+" is taken") {
		t.Errorf("got %s, want the address named", got)
	}
	must[any](t, s, "GET", "/livez", "", 200)
}

// TestPoolsThatDoNotFit asks for more than PgBouncer and the replicas accept.
func TestPoolsThatDoNotFit(t *testing.T) {
	testcluster.Open(t)
	got := refuse(t, nil, "DB_WRITE_MAX_OPEN_CONNS=10001", "DB_READ_MAX_OPEN_CONNS=396")
	for _, want := range []string{
		"shard-0: DB_WRITE_MAX_OPEN_CONNS does not fit: all workers together may open 10001 connections, its PgBouncer accepts max_client_conn = 10000",
		"shard-4: DB_READ_MAX_OPEN_CONNS does not fit: all workers together may open 396 connections, its replica accepts max_connections - reserved = 400 - 5 = 395",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s\nwant %q in it", got, want)
		}
	}
}
