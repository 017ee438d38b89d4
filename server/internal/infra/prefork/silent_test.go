package prefork

import (
	"errors"
	"io"
	"net"
	"testing"
)

func TestCloseSilent(t *testing.T) {
	t.Parallel()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := Track(inner)
	defer ln.Close()
	pair := func() (client, server net.Conn) {
		client, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.Close() })
		server, err = ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = server.Close() })
		return client, server
	}
	mustSay := func(from, to net.Conn) {
		t.Helper()
		if _, err := from.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(to, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	silent, _ := pair()
	talking, server := pair()
	_, gone := pair()
	mustSay(talking, server)
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	if len(ln.silent) != 1 {
		t.Errorf("%d connections are taken for silent, want 1", len(ln.silent))
	}

	ln.CloseSilent()
	if _, err := silent.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the silent connection reads %v, want EOF", err)
	}
	mustSay(talking, server)
	mustSay(server, talking)
}
