package logging

import (
	"bytes"
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	// writeSize is what is written at once, at most, but for a line that is longer. So much
	// stays in one piece in a pipe that several processes write to (PIPE_BUF on
	// Linux; pipe(7)): their lines are not mixed.
	writeSize = 4096
	// maxWaiting is how many bytes of lines wait while nobody reads, at most. What
	// comes then is lost: seconds of a flood, or what there is to read after a pause.
	maxWaiting = 1 << 20
	// gatherTime is for how long a line waits for others, at most. What is worse than an
	// information is written at once, with all before it, but for more of that so soon.
	gatherTime = 100 * time.Millisecond
	// flushPatience is for how long the last lines of a process may wait for who reads them.
	flushPatience = time.Second
)

// lines gathers lines, and has them written.
type lines struct {
	w io.Writer

	mu       sync.Mutex
	waiting  []byte // whole lines
	lost     int    // lines for which there was no room
	timer    *time.Timer
	set      bool // the timer runs
	writing  bool // what waits is being written, or about to be
	hastened time.Time

	turn   chan struct{} // is full while somebody writes, and uses what follows
	next   bytes.Buffer  // to be written
	report *slog.Logger  // to next
}

// Write takes one line.
func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting)+len(line) > maxWaiting {
		l.lost++
		return len(line), nil
	}
	l.waiting = append(l.waiting, line...)
	switch {
	case len(l.waiting) >= writeSize:
		l.begin()
	case l.set:
	case l.timer == nil:
		l.timer, l.set = time.AfterFunc(gatherTime, l.due), true
	default:
		l.timer.Reset(gatherTime)
		l.set = true
	}
	return len(line), nil
}

func (l *lines) due() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.set = false
	l.begin()
}

// hasten has what waits written now, if that was not done just before: who has
// much to complain of has little time.
func (l *lines) hasten() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); now.Sub(l.hastened) >= gatherTime {
		l.hastened = now
		l.begin()
	}
}

// begin has what waits written. The caller holds mu.
func (l *lines) begin() {
	if !l.writing && len(l.waiting) > 0 {
		l.writing = true
		go l.write()
	}
}

// flush waits until what waits is written, as long as it makes sense.
func (l *lines) flush() {
	written := make(chan struct{})
	go func() {
		l.write()
		close(written)
	}()
	select {
	case <-written:
	case <-time.After(flushPatience):
	}
}

// write writes until nothing waits. Its errors have nobody to be told to: what is wrong is the log.
func (l *lines) write() {
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	for l.take() {
		for l.next.Len() > 0 {
			_, _ = l.w.Write(l.next.Next(piece(l.next.Bytes())))
		}
	}
}

// take moves what waits to next, and tells whether there was any. It is the caller's turn.
func (l *lines) take() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next.Reset()
	l.next.Write(l.waiting)
	l.waiting = l.waiting[:0]
	if l.lost > 0 {
		l.report.Warn("log lines are lost: they were not read in time", "lines", l.lost)
		l.lost = 0
	}
	l.writing = l.next.Len() > 0
	return l.writing
}

// piece is how many bytes of lines are written at once: those that fit, whole.
func piece(all []byte) int {
	if len(all) <= writeSize {
		return len(all)
	}
	if end := bytes.LastIndexByte(all[:writeSize], '\n'); end >= 0 {
		return end + 1
	}
	return bytes.IndexByte(all, '\n') + 1
}
