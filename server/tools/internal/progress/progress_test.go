package progress

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestLinesWithoutATerminal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		d := newDisplay(&out, false, plainInterval)
		users := d.Bar("users", "users", 1_000_000, 200_000)
		copied := d.Bar("shard-0", Bytes, 3<<20, 0)
		users.Add(400_000)
		copied.Add(3 << 20)
		time.Sleep(plainInterval + time.Millisecond) //nolint:forbidigo // in a bubble whose clock jumps: it takes no time
		synctest.Wait()
		if got, want := out.String(), "users: 600,000 of 1,000,000 users, 80,000/s, 5.0 s left\n"; got != want {
			t.Errorf("after one interval:\ngot  %q\nwant %q", got, want)
		}
		out.Reset()
		time.Sleep(plainInterval - 2*time.Millisecond) //nolint:forbidigo // as above
		users.Add(400_000)
		d.Stop()
		for _, want := range []string{"users: 1,000,000 of 1,000,000 users, 80,00", "shard-0: 3.0 MiB of 3.0 MiB, "} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("at the end: got %q, want %q in it", out.String(), want)
			}
		}
	})
}

func TestBarsInATerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	d := newDisplay(&out, true, plainInterval)
	b := d.Bar("users", "users", 1000, 0)
	b.Add(1000)
	d.Stop()
	if !regexp.MustCompile(`users.*\[=+\].*1,000 of 1,000 users`).MatchString(out.String()) {
		t.Errorf("got %q, want a full bar", out.String())
	}
}

func TestThousands(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000"} {
		if got := Thousands(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}
