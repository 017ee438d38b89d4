package prefork

import (
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// TestRoll replaces all workers, twice, under clients who connect for each
// request, and loses none.
func TestRoll(t *testing.T) {
	t.Parallel()
	m, old := startServing(t)
	var (
		clients sync.WaitGroup
		asked   atomic.Int64
	)
	done := make(chan struct{})
	for range 8 {
		clients.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, _, err := m.get("/"); err != nil {
					t.Errorf("while workers are rolled: %v", err)
				}
				asked.Add(1)
			}
		})
	}
	for range 2 {
		if err := m.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		m.await(t, "rolled")
	}
	close(done)
	clients.Wait()
	t.Logf("%d requests", asked.Load())
	for range 50 {
		pid, handed, err := m.get("/")
		if err != nil || handed != "over" {
			t.Fatalf("got %q, %v; want the new environment handed down", handed, err)
		}
		for _, before := range old {
			if pid == before {
				t.Fatalf("worker %d still serves", pid)
			}
		}
	}
	if err := m.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := m.wait(t); code != 0 {
		t.Errorf("exit code %d, want 0; stderr: %s", code, m.errs)
	}
}

// TestRollKeepsWhatServes rolls to workers that cannot start.
func TestRollKeepsWhatServes(t *testing.T) {
	t.Parallel()
	m, old := startAs(t, "roll to what fails")
	if err := m.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if line := m.await(t, "not rolled"); line["err"] != "no luck today" {
		t.Errorf("the reason is %v, want the new worker's", line["err"])
	}
	for range 50 {
		pid, _, err := m.get("/")
		if err != nil || pid != old[0] && pid != old[1] && pid != old[2] {
			t.Fatalf("got an answer of %d, %v; want one of %v", pid, err, old)
		}
	}
}

// TestRollIntoAStop stops a master that has a new worker about to take its place.
func TestRollIntoAStop(t *testing.T) {
	t.Parallel()
	m, _ := startServing(t)
	if err := m.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	m.awaitReady(t)
	if err := m.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := m.wait(t); code != 0 { // the output ends with the last worker
		t.Errorf("exit code %d, want 0; stderr: %s", code, m.errs)
	}
}

func TestRestart(t *testing.T) {
	t.Parallel()
	m, _ := startAs(t, "need a restart")
	if err := m.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if line := m.await(t, "restarting"); line["reason"] != "this is another time" {
		t.Errorf("the reason is %v", line["reason"])
	}
	if code := m.wait(t); code != 1 || !strings.Contains(m.errs.String(), ErrRestart.Error()) {
		t.Errorf("exit code %d, stderr %q; want the caller told to restart", code, m.errs)
	}
}
