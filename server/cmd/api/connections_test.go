package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// TestManyConnections has clients connect, ask once, and stay: ten thousand in
// the long form. All are held, and all are answered when they ask again at once,
// each for a user of one of the shards: a worker lets a thousand requests wait for one.
func TestManyConnections(t *testing.T) {
	total := 1_000
	if os.Getenv("TEST_LONG") != "" {
		total = 10_000
	}
	cfg := testcluster.Open(t)
	ring, err := shard.NewRing(shardNames(cfg))
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, "REQUEST_TIMEOUT=100s", "READ_TIMEOUT=2m", "WRITE_TIMEOUT=2m", "IDLE_TIMEOUT=5m")
	var gets []string
	for _, name := range shardNames(cfg) {
		gets = append(gets, "GET "+path(createOn(t, s, ring, name).ID)+" HTTP/1.1\r\nHost: api\r\n\r\n")
	}
	get := func(i int) string { return gets[i%len(gets)] }

	conns := make([]*rawConn, total)
	each := func(what string, do func(i int) error) {
		t.Helper()
		var wg sync.WaitGroup
		var next, failed atomic.Int64
		for range 64 {
			wg.Go(func() {
				for i := int(next.Add(1)) - 1; i < total; i = int(next.Add(1)) - 1 {
					if err := do(i); err != nil && failed.Add(1) <= 3 {
						t.Errorf("%s, connection %d: %v", what, i, err)
					}
				}
			})
		}
		if wg.Wait(); failed.Load() > 0 {
			t.Fatalf("%s: %d of %d failed", what, failed.Load(), total)
		}
	}
	each("connect and ask", func(i int) (err error) {
		if conns[i], err = s.dialRaw(t); err != nil {
			return err
		}
		return errors.Join(conns[i].send(get(i)), conns[i].answered(http.StatusOK))
	})
	must[any](t, s, "GET", "/livez", "", 200) // there is room for one more
	each("ask again", func(i int) error { return conns[i].send(get(i)) })
	each("be answered", func(i int) error { return conns[i].answered(http.StatusOK) })
}

// TestSlowClients has some clients send their requests byte by byte, and others
// ask for much and read nothing. The server is rid of them all in time, and
// nobody else notices them.
func TestSlowClients(t *testing.T) {
	cfg := testcluster.Open(t)
	s := start(t, "READ_TIMEOUT=3s", "WRITE_TIMEOUT=3s")
	testcluster.Fill(t, cfg, func(string) string { return cfg.Shards[0].Name }, 100)
	u := must[user](t, s, "POST", "/api/v1/users/", createBody("Ada", "ada@example.com"), 201)

	const senders, readers = 100, 4
	var wg sync.WaitGroup
	var ended atomic.Int64
	stop := make(chan struct{})
	stopped := func() bool {
		select {
		case <-stop:
			return true
		case <-time.After(100 * time.Millisecond): // so slow are they
			return false
		}
	}
	for range senders {
		conn, err := s.dialRaw(t)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for conn.send("G") == nil { // of a method that never ends
				if stopped() {
					return
				}
			}
			ended.Add(1)
		})
	}
	for range readers {
		conn, err := s.dialRaw(t)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			lists := strings.Repeat("GET "+listPath+"?limit=100 HTTP/1.1\r\nHost: api\r\n\r\n", 10)
			for { // until the answers fill all buffers, and then until the server has waited long enough
				var timeout net.Error
				if err := conn.send(lists); err != nil && (!errors.As(err, &timeout) || !timeout.Timeout()) {
					ended.Add(1)
					return
				}
				if stopped() {
					return
				}
			}
		})
	}
	for ended.Load() < senders+readers { // the test's own time limit is long
		if status, answer, err := s.send("GET", path(u.ID), ""); err != nil || status != 200 {
			t.Errorf("got %d %s, %v", status, answer, err)
		}
		if t.Failed() {
			break
		}
	}
	close(stop)
	wg.Wait()
}

// rawConn is a connection without a client library's opinion.
type rawConn struct {
	net.Conn
	in *bufio.Reader
}

func (s *server) dialRaw(t *testing.T) (*rawConn, error) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(s.url, "http://"), 30*time.Second)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &rawConn{Conn: conn, in: bufio.NewReaderSize(conn, 1024)}, nil
}

func (c *rawConn) send(text string) error {
	if err := c.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	_, err := c.Write([]byte(text))
	return err
}

func (c *rawConn) answered(want int) error {
	status, err := c.status()
	if err == nil && status != want {
		err = fmt.Errorf("got %d, want %d", status, want)
	}
	return err
}

// ask sends a request, whole, and reads the answer.
func (c *rawConn) ask(request string) (status int, err error) {
	if err := c.SetWriteDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		return 0, err
	}
	if _, err := c.Write([]byte(request)); err != nil {
		return 0, err
	}
	return c.status()
}

// status reads an answer, of which it keeps the status.
func (c *rawConn) status() (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		return 0, err
	}
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}
