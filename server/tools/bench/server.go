package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// starting bounds how long a server may take until it answers as it is to be measured.
const starting = time.Minute

// server is one that the bench has started.
type server struct {
	url string
	cmd *exec.Cmd
	log string
}

// start starts a program as a server on a port of its own, with so many workers and the settings of the running system. Its log goes to a
// file, as it does in operation.
func start(ctx context.Context, dir string, program, environ []string, workers int) (*server, error) {
	free, err := new(net.ListenConfig).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := free.Addr().String()
	if err := free.Close(); err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	s := &server{url: "http://" + addr, log: filepath.Join(dir, "server-"+port+".log")}
	log, err := os.Create(s.log)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the server has its own
	s.cmd = exec.CommandContext(context.WithoutCancel(ctx), program[0], program[1:]...)
	s.cmd.Dir = dir // without a .env
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.Env = append(append(os.Environ(), environ...), "HOST=127.0.0.1", "PORT="+port, "ADMIN_ADDR=127.0.0.1:0", fmt.Sprintf("GOMAXPROCS=%d", workers))
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	if err := s.await(ctx, workers); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w; its log:\n%s", program[0], err, s.logTail()), s.stop())
	}
	return s, nil
}

// await waits until every worker is ready.
func (s *server) await(ctx context.Context, workers int) error {
	return eventually(ctx, starting, func() error {
		text, err := os.ReadFile(s.log)
		if err != nil {
			return err
		}
		if ready := strings.Count(string(text), `"msg":"worker ready"`); ready < workers {
			return fmt.Errorf("%d of %d workers are ready", ready, workers)
		}
		return nil
	})
}

// awaitReplicas waits until reads of each user are answered by a replica, as they are in operation.
func (s *server) awaitReplicas(ctx context.Context, ids []string) error {
	for _, id := range ids {
		err := eventually(ctx, starting, func() error {
			var user struct{ ID string }
			header, err := s.get(ctx, usersPath+id, &user)
			if err != nil {
				return err
			}
			if user.ID != id {
				return fmt.Errorf("asked for user %s, got %q", id, user.ID)
			}
			// In the cache is only what replicas have.
			if by := header.Get("X-Served-By"); !strings.HasSuffix(by, "/replica") && !strings.HasSuffix(by, "/cache") {
				return fmt.Errorf("user %s is read from %s, not from a replica", id, by)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// get asks once, insists on 200 and decodes the answer.
func (s *server) get(ctx context.Context, path string, into any) (http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w", path, err)
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: got %d %s, want 200", path, res.StatusCode, text)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return nil, fmt.Errorf("GET %s: got %s: %w", path, text, err)
	}
	return res.Header, nil
}

func (s *server) logTail() string {
	text, _ := os.ReadFile(s.log) // it is for an error's text
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}

// stop ends the server and waits for it.
func (s *server) stop() error {
	http.DefaultClient.CloseIdleConnections()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	late := time.AfterFunc(starting, func() { _ = s.cmd.Process.Kill() })
	defer late.Stop()
	if err := s.cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %w; its log:\n%s", s.cmd.Path, err, s.logTail())
	}
	return nil
}

// eventually repeats a check until it passes.
func eventually(ctx context.Context, most time.Duration, check func() error) error {
	waiting, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for {
		err := check()
		if err == nil {
			return nil
		}
		if pause(waiting, 20*time.Millisecond) != nil {
			return errors.Join(ctx.Err(), fmt.Errorf("waited for %s: %w", most, err))
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
