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
	mu  sync.Mutex
	all []string
}

func (w *writes) Write(b []byte) (int, error) {
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
		log := New(&w, slog.LevelInfo).With("pid", 1)
		log.Info("one")
		log.Debug("not logged")
		log.WithGroup("of").Info("two", "things", 2)
		if got := w.made(); len(got) != 0 {
			t.Errorf("written at once: %q", got)
		}
		<-time.After(flushInterval)
		synctest.Wait()
		if got := w.made(); len(got) != 1 || strings.Count(got[0], "\n") != 2 || !strings.Contains(got[0], `"things":2`) {
			t.Fatalf("wrote %q, want two lines at once", got)
		}
		const lines = 1000
		for i := range lines {
			log.Info("line", "i", i)
		}
		<-time.After(flushInterval)
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

// TestWhatIsUrgentIsWritten at once, after what came before; and all that is left, when asked to.
func TestWhatIsUrgentIsWritten(t *testing.T) {
	t.Parallel()
	var w writes
	log := New(&w, slog.LevelInfo)
	log.Info("before")
	log.With("pid", 1).Warn("fault")
	if got := strings.Join(w.made(), ""); strings.Count(got, "\n") != 2 || !strings.Contains(got, "fault") {
		t.Errorf("wrote %q, want both lines", got)
	}
	log.Info("after")
	if err := log.Flush(); err != nil {
		t.Error(err)
	}
	if got := w.made(); !strings.Contains(got[len(got)-1], "after") {
		t.Errorf("wrote %q, want the last line, too", got)
	}
	log.Info("long", "text", strings.Repeat("long", writeSize))
	if err := log.Flush(); err != nil {
		t.Error(err)
	}
	if got := w.made(); len(got[len(got)-1]) < 4*writeSize {
		t.Errorf("a long line was cut: %d bytes", len(got[len(got)-1]))
	}
}
