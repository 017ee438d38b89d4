package freshness

import (
	"syscall"
	"testing"
	"time"
)

func TestLeaseIsHeldByOne(t *testing.T) {
	t.Parallel()
	table, _ := open(t, time.Minute)
	a, b := table.NewLease(), table.NewLease()
	if !a.Keep() || b.Keep() || !a.Keep() {
		t.Fatal("the lease went to two")
	}
	a.Release()
	if !b.Keep() || a.Keep() {
		t.Fatal("a released lease was not taken over")
	}
}

func TestLeaseIsTakenOver(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		stop syscall.Signal
	}{{"killed", syscall.SIGKILL}, {"stopped", syscall.SIGSTOP}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, f := open(t, time.Minute)
			holder := start(t, f, "lease")
			holder.says(t, "true")
			successor := start(t, f, "lease")
			if err := holder.Signal(tt.stop); err != nil {
				t.Fatal(err)
			}
			stopped := time.Now()
			successor.says(t, "true")
			// The term, a turn of the successor's, and its start, on a loaded machine.
			if took := time.Since(stopped); took > 15*time.Second {
				t.Errorf("took over after %s", took)
			}
			if tt.stop == syscall.SIGSTOP {
				if err := holder.Signal(syscall.SIGCONT); err != nil {
					t.Fatal(err)
				}
				holder.says(t, "false")
			}
		})
	}
}
