package prefork

import (
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// tracked returns a listener, and what gives both ends of a connection through it.
func tracked(t *testing.T) (ln *Listener, dial func() net.Conn, accept func() *conn) {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln = Track(inner)
	t.Cleanup(func() { _ = ln.Close() })
	opened := func(c net.Conn, err error) net.Conn {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	dial = func() net.Conn { return opened(net.Dial("tcp", ln.Addr().String())) }
	accept = func() *conn {
		c, ok := opened(ln.Accept()).(*conn)
		if !ok {
			t.Fatalf("accepted a %T", c)
		}
		return c
	}
	return ln, dial, accept
}

func say(t *testing.T, from net.Conn) {
	t.Helper()
	if _, err := from.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, to net.Conn) {
	t.Helper()
	if _, err := io.ReadFull(to, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

func awaitUnread(t *testing.T, c *conn) {
	t.Helper()
	testcluster.Await(t, func() error {
		if !c.hasUnread() {
			return errors.New("nothing has come")
		}
		return nil
	})
}

func TestCloseSilent(t *testing.T) {
	t.Parallel()
	ln, dial, accept := tracked(t)
	silent := dial()
	accept()
	talking := dial()
	server := accept()
	say(t, talking)
	hear(t, server)
	dial()
	if err := accept().Close(); err != nil {
		t.Fatal(err)
	}
	if len(ln.silent) != 1 {
		t.Errorf("%d connections are taken for silent, want 1", len(ln.silent))
	}
	unheard := dial()
	unhearing := accept()
	say(t, unheard)
	awaitUnread(t, unhearing)

	ln.CloseSilent()
	if _, err := silent.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the silent connection reads %v, want EOF", err)
	}
	say(t, talking)
	hear(t, server)
	say(t, server)
	hear(t, talking)
	hear(t, unhearing) // was not silent, nobody had read
	say(t, unhearing)
	hear(t, unheard)
}

// TestCloseLeavesARequest closes, as a server that shuts down does from beside, a
// connection that waits for a request which has come already.
func TestCloseLeavesARequest(t *testing.T) {
	t.Parallel()
	_, dial, accept := tracked(t)
	client := dial()
	server := accept()
	server.reading.Store(true)
	say(t, client)
	awaitUnread(t, server)
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	hear(t, server)
	say(t, server)
	hear(t, client)
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("read %v, want EOF: it is answered now", err)
	}
}

func TestAwaitNewcomers(t *testing.T) {
	t.Parallel()
	const long = time.Minute
	ln, dial, accept := tracked(t)
	hasNewcomers := func(want bool) {
		t.Helper()
		testcluster.Await(t, func() error {
			if got := ln.hasNewcomers(long); got != want {
				return fmt.Errorf("has newcomers: %t, want %t", got, want)
			}
			return nil
		})
	}
	hasNewcomers(false)
	client := dial()
	hasNewcomers(true) // in the queue
	server := accept()
	hasNewcomers(true) // silent
	if ln.hasNewcomers(0) {
		t.Error("is new after its time")
	}
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		ln.AwaitNewcomers(long)
	}()
	say(t, client)
	hear(t, server)
	select {
	case <-heard:
	case <-time.After(long / 2):
		t.Error("waits for one that has said something")
	}
}
