package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// watch has curl (7.84 or later, for --rate) ask for the URL five times a second until it is told
// to end, with the settings. It is a process of its own: one that floods the server is late itself.
func watch(t *testing.T, url string, settings ...string) (end func() []asked) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	args := append([]string{
		"--silent", "--rate", "5/s", "--max-time", "10",
		"--output", "/dev/null", "--write-out", `%{stderr}%{http_code} %{time_total}\n`, url + "#[1-1000000]",
	}, settings...)
	cmd := exec.CommandContext(ctx, "curl", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // its share of the processors is not the flood's
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	out := new(output)
	cmd.Stderr = out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cancel)
	return func() (all []asked) {
		t.Helper()
		// The one that is under way counts, too, however late it is.
		answers := func() int { return strings.Count(out.String(), "\n") }
		had := answers()
		await(t, func() error {
			if answers() == had {
				return fmt.Errorf("%s has had %d answers:\n%s", cmd, had, out)
			}
			return nil
		})
		cancel()
		if err := cmd.Wait(); cmd.ProcessState.Exited() {
			t.Errorf("%s ended before it was told to: %v\n%s", cmd, err, out)
		}
		for line := range strings.Lines(out.String()) {
			var a asked
			var seconds float64
			if _, err := fmt.Sscan(line, &a.status, &seconds); err != nil {
				t.Fatalf("%s: %q: %v", cmd, line, err)
			}
			a.took = time.Duration(seconds * float64(time.Second))
			all = append(all, a)
		}
		return all
	}
}
