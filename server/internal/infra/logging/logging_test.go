package logging

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// writes are those that were made.
type writes struct {
	mu     sync.Mutex
	all    []string
	unread chan struct{} // a write ends when this is closed, if there is one
}

func (w *writes) Write(b []byte) (int, error) {
	if w.unread != nil {
		<-w.unread
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, string(b))
	return len(b), nil
}

func (w *writes) made() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all
}

// TestLinesAreGathered, in their order and whole, and none waits for long.
func TestLinesAreGathered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var w writes
		log := New(&w, slog.LevelInfo)
		log.Info("one")
		log.Debug("not logged")
		log.WithGroup("of").Info("two", "things", 2)
		synctest.Wait()
		if got := w.made(); len(got) != 0 {
			t.Errorf("written at once: %q", got)
		}
		<-time.After(gatherTime)
		synctest.Wait()
		if got := w.made(); len(got) != 1 || strings.Count(got[0], "\n") != 2 || !strings.Contains(got[0], `"things":2`) {
			t.Fatalf("wrote %q, want two lines at once", got)
		}
		const lines = 1000
		for i := range lines {
			log.Info("line", "i", i)
		}
		<-time.After(gatherTime)
		synctest.Wait()
		all := w.made()[1:]
		for _, s := range all {
			if len(s) > writeSize || !strings.HasSuffix(s, "}\n") {
				t.Errorf("%d bytes in a write that ends in %q, want at most %d, and whole lines", len(s), s[max(0, len(s)-10):], writeSize)
			}
		}
		for i, line := range strings.SplitN(strings.Join(all, ""), "\n", lines) {
			if !strings.Contains(line, fmt.Sprintf(`"i":%d}`, i)) {
				t.Fatalf("line %d is %s", i, line)
			}
		}
	})
}

// TestWhatIsUrgentIsWritten at once, after what came before, but not one write after the
// other; and all that is left, when asked to.
func TestWhatIsUrgentIsWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var w writes
		log := New(&w, slog.LevelInfo)
		log.Info("before")
		log.With("shard", 1).Warn("fault")
		synctest.Wait()
		if got := strings.Join(w.made(), ""); strings.Count(got, "\n") != 2 || !strings.Contains(got, "fault") {
			t.Errorf("wrote %q, want both lines", got)
		}
		log.Warn("fault after fault")
		synctest.Wait()
		if got := w.made(); len(got) != 1 {
			t.Errorf("wrote %q, want what came so soon to wait", got)
		}
		<-time.After(gatherTime)
		synctest.Wait()
		if got := w.made(); len(got) != 2 || !strings.Contains(got[1], "fault after fault") {
			t.Errorf("wrote %q, want it not to wait for long", got)
		}
		log.Info("after")
		log.Flush()
		if got := w.made(); !strings.Contains(got[len(got)-1], "after") {
			t.Errorf("wrote %q, want the last line, too", got)
		}
		log.Info("long", "text", strings.Repeat("long", writeSize))
		log.Flush()
		if got := w.made(); len(got[len(got)-1]) < 4*writeSize {
			t.Errorf("a long line was cut: %d bytes", len(got[len(got)-1]))
		}
	})
}

// TestNobodyWaitsForWhoReads: what there is no room for is lost, and that is said once
// there is somebody to say it to.
func TestNobodyWaitsForWhoReads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := writes{unread: make(chan struct{})}
		log := New(&w, slog.LevelInfo)
		const each = 1000
		text := strings.Repeat("x", each)
		began := time.Now()
		const lines = 3 * maxWaiting / each
		for range lines {
			log.Info("line", "text", text)
		}
		log.Error("the last one")
		if waited := time.Since(began); waited > 0 {
			t.Errorf("to log took %s", waited)
		}
		log.Flush()
		if waited := time.Since(began); waited != flushPatience {
			t.Errorf("to end took %s, want %s", waited, flushPatience)
		}
		close(w.unread)
		synctest.Wait()
		all := strings.Join(w.made(), "")
		written := strings.Count(all, "\n") - 1 // and what is said of the others
		if len(all) < maxWaiting || len(all) > 2*maxWaiting+2*each {
			t.Errorf("%d bytes were kept, want %d to %d", len(all), maxWaiting, 2*maxWaiting)
		}
		if want := fmt.Sprintf(`"lines":%d}`, lines+1-written); strings.Count(all, "log lines are lost") != 1 || !strings.Contains(all, want) {
			t.Errorf("the end is %q, want it to tell of %s", all[len(all)-200:], want)
		}
		log.Info("read again")
		log.Flush()
		if got := w.made(); !strings.Contains(got[len(got)-1], "read again") {
			t.Errorf("wrote %q after the pause", got[len(got)-1])
		}
	})
}
