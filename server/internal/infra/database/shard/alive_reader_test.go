package shard

import (
	"net"
	"testing"
	"time"
)

// TestIsDeadDoesNotWaitForAReader looks at a connection in which a goroutine
// reads, as pgx leaves one after a slow write.
func TestIsDeadDoesNotWaitForAReader(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()

	read := make(chan error, 1)
	go func() {
		_, err := client.Read(make([]byte, 1))
		read <- err
	}()
	tcp, ok := client.(*net.TCPConn)
	if !ok {
		t.Fatalf("got a %T", client)
	}
	// However often it looks, at some time the reader has the lock.
	for looked := time.Now(); time.Since(looked) < 50*time.Millisecond; {
		if isDead(tcp) {
			t.Fatal("a live connection is taken for a dead one")
		}
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-read; err == nil {
		t.Error("the reader got something")
	}
	if !isDead(tcp) {
		t.Error("a connection that the server closed is taken for a live one")
	}
}
