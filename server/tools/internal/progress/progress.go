// Package progress shows how far long work is, how fast it goes and how long it will take: bars in a terminal, a plain
// line now and then elsewhere.
package progress

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// plainInterval is how often a line is printed where there is no terminal.
const plainInterval = 5 * time.Second

// Display shows several works that go on side by side.
type Display struct {
	w    io.Writer
	bars *mpb.Progress // nil where there is no terminal

	mu      sync.Mutex
	list    []*Bar
	stop    chan struct{}
	stopped sync.WaitGroup
}

// New shows on f. The caller stops it.
func New(f *os.File) *Display { return newDisplay(f, term.IsTerminal(int(f.Fd())), plainInterval) }

func newDisplay(w io.Writer, terminal bool, interval time.Duration) *Display {
	d := &Display{w: w, stop: make(chan struct{})}
	if terminal {
		d.bars = mpb.New(mpb.WithOutput(w), mpb.WithAutoRefresh()) // the test has no terminal
		return d
	}
	d.stopped.Go(func() {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				d.lines(func(b *Bar) bool { return !b.complete() })
			case <-d.stop:
				return
			}
		}
	})
	return d
}

// Bar begins to show a work: its name, the unit it is counted in (Bytes, or a plural), how much there is in all, which may
// be an estimate and is 0 when nobody knows, and how much of that was done before.
func (d *Display) Bar(name string, unit Unit, total, before int64) *Bar {
	b := &Bar{name: name, unit: unit, began: time.Now(), before: before}
	b.total.Store(total)
	b.done.Store(before)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list = append(d.list, b)
	if d.bars != nil {
		b.bar = d.bars.AddBar(0, mpb.BarWidth(24), mpb.PrependDecorators(decor.Name(name, decor.WCSyncSpaceR)),
			mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return b.text() })))
		b.bar.SetTotal(total, false) // Stop ends it: there may be more than was thought
		b.bar.SetCurrent(before)
	}
	return b
}

// Stop prints how far each work came and returns when nothing more will be printed.
func (d *Display) Stop() {
	if d.bars != nil {
		for _, b := range d.list {
			if b.complete() {
				b.bar.SetTotal(-1, true)
			}
			b.bar.Abort(false) // nothing, if it is complete
		}
		d.bars.Wait()
		return
	}
	close(d.stop)
	d.stopped.Wait()
	d.lines(func(*Bar) bool { return true })
}

func (d *Display) lines(of func(*Bar) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, b := range d.list {
		if of(b) {
			// A console that went away is no reason to end the work.
			_, _ = fmt.Fprintf(d.w, "%s: %s\n", b.name, b.text())
		}
	}
}

// Bar is one work. Its methods may be called from many goroutines.
type Bar struct {
	name   string
	unit   Unit
	began  time.Time
	before int64
	total  atomic.Int64
	done   atomic.Int64
	ended  atomic.Int64 // nanoseconds after began; 0 before
	bar    *mpb.Bar
}

// Add says that n more are done. It is not for every single one of a million.
func (b *Bar) Add(n int64) {
	done := b.done.Add(n)
	if total := b.total.Load(); total > 0 && done >= total {
		b.ended.Store(max(1, int64(time.Since(b.began))))
	}
	if b.bar != nil {
		b.bar.IncrInt64(n)
	}
}

// Finish says that all is done and how much that was, where it was an estimate before.
func (b *Bar) Finish(total int64) {
	b.total.Store(total)
	b.ended.Store(max(1, int64(time.Since(b.began))))
	if b.done.Store(total); b.bar != nil {
		b.bar.SetCurrent(total)
	}
}

// Done is how much is done.
func (b *Bar) Done() int64 { return b.done.Load() }

func (b *Bar) complete() bool { return b.ended.Load() != 0 }

func (b *Bar) text() string {
	took := time.Since(b.began)
	if ended := b.ended.Load(); ended != 0 {
		took = time.Duration(ended)
	}
	done, total := b.done.Load(), b.total.Load()
	rate := float64(done-b.before) / took.Seconds()
	if done > total || total == 0 {
		return fmt.Sprintf("%s, %s/s", b.unit.format(done), b.unit.bare(int64(rate)))
	}
	text := fmt.Sprintf("%s of %s, %s/s", b.unit.bare(done), b.unit.format(total), b.unit.bare(int64(rate)))
	switch {
	case done == total:
		return fmt.Sprintf("%s, in %s", text, shortly(took))
	case rate > 0:
		return fmt.Sprintf("%s, %s left", text, shortly(time.Duration(float64(total-done)/rate*float64(time.Second))))
	}
	return text
}

// shortly writes a duration in as many digits as a person reads.
func shortly(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min %02d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(d.Minutes())%60)
}
