package prefork

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// Listener is a listener that knows the connections on which nothing has come
// yet. Browsers and clients open such ahead of need. To fasthttp they are busy
// until their read timeout, and would hold up a stop for as long.
type Listener struct {
	net.Listener

	mu     sync.Mutex
	silent map[*conn]struct{}

	closed    chan struct{}
	closeOnce sync.Once
}

// Track returns a Listener that accepts from ln.
func Track(ln net.Listener) *Listener {
	return &Listener{Listener: ln, silent: make(map[*conn]struct{}), closed: make(chan struct{})}
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
	l.silent[c] = struct{}{}
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

// CloseSilent closes the connections on which nothing has come.
func (l *Listener) CloseSilent() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.silent {
		_ = c.Conn.Close() // its reader finds out
	}
	clear(l.silent)
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
	known    bool // no longer silent
}

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if !c.known {
		c.known = true
		c.listener.forget(c)
	}
	return n, err
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.listener.forget(c)
	return c.Conn.Close()
}
