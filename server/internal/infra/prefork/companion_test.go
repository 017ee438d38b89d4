package prefork

import (
	"syscall"
	"testing"
)

// TestCompanion: it comes again when it dies, anew when the workers are rolled, and
// its end is waited for.
func TestCompanion(t *testing.T) {
	t.Parallel()
	m := start(t, "be accompanied", "127.0.0.1:0")
	companion := func(handed string) int {
		line := m.await(t, "companion")
		if line["handed"] != handed {
			t.Errorf("the companion has %v, want what was handed %s", line["handed"], handed)
		}
		pid, _ := line["pid"].(float64)
		return int(pid)
	}
	first := companion("down")
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if second := companion("down"); second == first {
		t.Errorf("%d came again", first)
	}
	if err := m.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	last := companion("over")
	m.await(t, "rolled")
	if err := m.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := m.wait(t); code != 0 {
		t.Errorf("exit code %d, want 0; stderr: %s", code, m.errs)
	}
	if err := syscall.Kill(last, 0); err == nil {
		t.Errorf("companion %d outlives its master", last)
	}
}
