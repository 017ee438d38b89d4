// Package apitest gives the tools' tests a running server beside a test cluster.
package apitest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Server is a real API, built under the race detector.
type Server struct {
	Addr, Admin string
	Cmd         *exec.Cmd
}

// Line is what tests look for in its log.
type Line struct {
	Msg, Addr string
	WorkerPID int `json:"worker_pid"`
}

// Start starts a server with so many workers, with the settings in the environment, and waits until all of them serve.
// Each line of its log is told to follow. The server ends with the test.
func Start(t testing.TB, workers int, follow func(Line)) *Server {
	t.Helper()
	dir := t.TempDir() // without a .env
	binary := filepath.Join(dir, "api")
	const program = "github.com/messenger-clone/messenger-clone-api/server/cmd/api"
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-race", "-o", binary, program).CombinedOutput(); err != nil {
		t.Fatalf("build the API: %v\n%s", err, out)
	}
	s := &Server{Cmd: exec.CommandContext(context.WithoutCancel(t.Context()), binary)}
	s.Cmd.Dir = dir
	// A login's SCRAM hashes take long under the race detector on a machine that is busy.
	s.Cmd.Env = append(os.Environ(), "HOST=127.0.0.1", "PORT=0", "ADMIN_ADDR=127.0.0.1:0", fmt.Sprintf("GOMAXPROCS=%d", workers), "DB_CONNECT_TIMEOUT=4s")
	s.Cmd.Stderr = os.Stderr
	out, err := s.Cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		waits := workers + 2 // for the address, the admin port and each worker
		for log := bufio.NewScanner(out); log.Scan(); {
			var line Line
			if json.Unmarshal(log.Bytes(), &line) != nil {
				continue
			}
			follow(line)
			if waits == 0 {
				continue
			}
			switch line.Msg {
			case "starting":
				s.Addr = line.Addr
			case "admin port":
				s.Admin = line.Addr
			case "worker ready":
			default:
				continue
			}
			if waits--; waits == 0 {
				close(ready)
			}
		}
	}()
	t.Cleanup(func() {
		_ = s.Cmd.Process.Kill() // the workers see it and leave
		<-gone
		_ = s.Cmd.Wait()
	})
	select {
	case <-ready:
	case <-gone:
		t.Fatal("the API ended at its start")
	}
	return s
}
