package prefork

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Listener is a listener that knows the connections on which nothing has come
// yet. Browsers and clients open such ahead of need. To fasthttp they are busy
// until their read timeout, and would hold up a stop for as long.
type Listener struct {
	net.Listener

	mu     sync.Mutex
	silent map[*conn]time.Time // when each was accepted

	closed    chan struct{}
	closeOnce sync.Once
}

// Track returns a Listener that accepts from ln.
func Track(ln net.Listener) *Listener {
	return &Listener{Listener: ln, silent: make(map[*conn]time.Time), closed: make(chan struct{})}
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if errors.Is(err, os.ErrDeadlineExceeded) { // Yield sets the only one
		<-l.closed
		err = net.ErrClosed
	}
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: accepted, listener: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.silent[c] = time.Now()
	return c, nil
}

// Yield accepts nothing any more: it leaves new connections to another process
// that has the socket.
func (l *Listener) Yield() error {
	ln, ok := l.Listener.(interface{ SetDeadline(t time.Time) error })
	if !ok {
		return fmt.Errorf("yield on a %T", l.Listener)
	}
	return ln.SetDeadline(time.Unix(1, 0))
}

// Close implements net.Listener.
func (l *Listener) Close() error {
	l.closeOnce.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// AwaitNewcomers waits for those who were let in last: until no connection waits to
// be accepted, and each has said something or has been silent for so long. That is
// how long it takes at most.
func (l *Listener) AwaitNewcomers(most time.Duration) {
	enough := time.NewTimer(most)
	defer enough.Stop()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for l.hasNewcomers(most) {
		select {
		case <-look.C:
		case <-enough.C:
			return
		}
	}
}

func (l *Listener) hasNewcomers(silentFor time.Duration) bool {
	if waiting, err := queued(l.Listener); err == nil && waiting > 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, since := range l.silent {
		if time.Since(since) < silentFor {
			return true
		}
	}
	return false
}

// CloseSilent closes the connections on which nothing has come.
func (l *Listener) CloseSilent() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.silent {
		if c.hasUnread() {
			continue
		}
		_ = c.Conn.Close() // its reader finds out
		delete(l.silent, c)
	}
}

func (l *Listener) forget(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.silent, c)
}

// conn tells its listener of its first byte, and of its end. Both come from
// the one goroutine that serves it.
type conn struct {
	net.Conn

	listener *Listener
	known    bool        // no longer silent
	reading  atomic.Bool // its goroutine waits for what comes
}

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	c.reading.Store(true)
	n, err := c.Conn.Read(b)
	c.reading.Store(false)
	if !c.known {
		c.known = true
		c.listener.forget(c)
	}
	return n, err
}

// Close implements net.Conn. A server that shuts down closes what it takes for
// idle; if a request has come that nobody has got round to reading, on a busy
// machine, the client would see a reset. That request is answered, and the
// connection closed then.
func (c *conn) Close() error {
	if c.reading.Load() && c.hasUnread() {
		return nil
	}
	c.listener.forget(c)
	return c.Conn.Close()
}

func (c *conn) hasUnread() bool {
	n, err := unread(c.Conn)
	return err == nil && n > 0
}
