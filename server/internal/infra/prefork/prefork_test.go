package prefork

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// master is a running program and the lines it logs.
type master struct {
	cmd   *exec.Cmd
	lines chan map[string]any
	errs  *strings.Builder
	addr  string
}

func start(t testing.TB, role, addr string) *master {
	t.Helper()
	m := &master{cmd: exec.Command(os.Args[0]), lines: make(chan map[string]any, 1000), errs: new(strings.Builder)}
	m.cmd.Env = append(os.Environ(), roleVariable+"="+role, "ADDR="+addr)
	m.cmd.Stderr = m.errs
	out, err := m.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(m.lines)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			var line map[string]any
			if json.Unmarshal(scanner.Bytes(), &line) == nil {
				m.lines <- line
			}
		}
	}()
	t.Cleanup(func() {
		_ = m.cmd.Process.Kill()
		_ = m.cmd.Wait()
	})
	return m
}

// await returns the next line with the message.
func (m *master) await(t testing.TB, message string) map[string]any {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case line, ok := <-m.lines:
			if !ok {
				_ = m.cmd.Wait() // then its stderr is complete
				t.Fatalf("the master ended before it said %q; stderr: %s", message, m.errs)
			}
			if line["msg"] == message {
				return line
			}
		case <-timeout:
			t.Fatalf("the master did not say %q in time", message)
		}
	}
}

// startServing returns a master whose three workers are ready, and their ids.
func startServing(t testing.TB) (*master, []int) {
	t.Helper()
	return startAs(t, "serve")
}

func startAs(t testing.TB, role string) (*master, []int) {
	t.Helper()
	m := start(t, role, "127.0.0.1:0")
	m.addr, _ = m.await(t, "starting")["addr"].(string)
	pids := make([]int, 3)
	for i := range pids {
		pids[i] = m.awaitReady(t)
	}
	return m, pids
}

func (m *master) awaitReady(t testing.TB) int {
	t.Helper()
	pid, _ := m.await(t, "worker ready")["worker_pid"].(float64)
	return int(pid)
}

// get asks on a connection of its own and returns the answering worker.
func (m *master) get(path string) (pid int, handed string, err error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	res, err := client.Get("http://" + m.addr + path)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, "", err
	}
	first, handed, _ := strings.Cut(string(body), " ")
	pid, err = strconv.Atoi(first)
	return pid, handed, err
}

// wait returns the exit code, once the output has been read.
func (m *master) wait(t testing.TB) int {
	t.Helper()
	for range m.lines {
	}
	_ = m.cmd.Wait()
	return m.cmd.ProcessState.ExitCode()
}

func TestEveryWorkerServes(t *testing.T) {
	t.Parallel()
	m, pids := startServing(t)
	seen := map[int]bool{}
	for range 500 {
		pid, handed, err := m.get("/")
		if err != nil || handed != "down" {
			t.Fatalf("got %q, %v; want the master's environment handed down", handed, err)
		}
		if seen[pid] = true; len(seen) == len(pids) {
			break
		}
	}
	for _, pid := range pids {
		if !seen[pid] {
			t.Errorf("worker %d never answered", pid)
		}
	}
}

func TestKilledWorkerIsReplaced(t *testing.T) {
	t.Parallel()
	m, pids := startServing(t)
	for _, pid := range pids { // more deaths than fasthttp's own limit allows
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		// New connections wait in the dead worker's queue: none is refused.
		// What the dying worker had accepted may be cut.
		for range 20 {
			if _, _, err := m.get("/"); errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("after worker %d was killed: %v", pid, err)
			}
		}
		if got := m.awaitReady(t); got == pid {
			t.Errorf("worker %d was replaced by itself", pid)
		}
	}
}

func TestStopDrains(t *testing.T) {
	t.Parallel()
	for name, send := range map[string]func(m *master, pids []int) error{
		"SIGTERM to the master": func(m *master, _ []int) error { return m.cmd.Process.Signal(syscall.SIGTERM) },
		"SIGINT to everybody, as Ctrl-C does": func(m *master, pids []int) error {
			errs := []error{m.cmd.Process.Signal(os.Interrupt)}
			for _, pid := range pids {
				errs = append(errs, syscall.Kill(pid, syscall.SIGINT))
			}
			return errors.Join(errs...)
		},
		"death of the master": func(m *master, _ []int) error { return m.cmd.Process.Kill() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, pids := startServing(t)
			const inFlight = 12
			sent := make(chan error, inFlight)
			for range inFlight {
				go func() {
					_, _, err := m.get("/slow")
					sent <- err
				}()
			}
			for range inFlight {
				m.await(t, "slow")
			}
			if err := send(m, pids); err != nil {
				t.Fatal(err)
			}
			for range inFlight {
				if err := <-sent; err != nil {
					t.Errorf("a request in flight was cut: %v", err)
				}
			}
			code := m.wait(t) // the output ends with the last worker
			if want := map[bool]int{true: -1, false: 0}[name == "death of the master"]; code != want {
				t.Errorf("exit code %d, want %d; stderr: %s", code, want, m.errs)
			}
			if _, _, err := m.get("/"); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("after the stop: %v, want the connection refused", err)
			}
		})
	}
}

func TestCrashLoopEnds(t *testing.T) {
	t.Parallel()
	for role, reason := range map[string]string{"fail": "no luck today", "vanish": "a worker ended without a word"} {
		began := time.Now()
		m := start(t, role, "127.0.0.1:0")
		code := m.wait(t)
		if want := "the workers cannot start: " + reason; code != 1 || !strings.Contains(m.errs.String(), want) {
			t.Errorf("%s: exit code %d, stderr %q; want 1 and %q", role, code, m.errs, want)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s: gave up after %s, want sooner", role, took)
		}
	}
}

func TestTakenPortIsNamed(t *testing.T) {
	t.Parallel()
	first, _ := startServing(t) // with SO_REUSEPORT, which would let a second one in
	m := start(t, "serve", first.addr)
	code := m.wait(t)
	if want := first.addr + " is taken"; code != 1 || !strings.Contains(m.errs.String(), want) {
		t.Errorf("exit code %d, stderr %q; want 1 and %q", code, m.errs, want)
	}
}
