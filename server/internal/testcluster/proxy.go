package testcluster

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// Proxy passes TCP connections on to a server of the cluster. A test can take
// the server away by it, and read what clients say to a PostgreSQL server.
type Proxy struct {
	Addr string

	target string
	mu     sync.Mutex
	ln     net.Listener
	conns  map[net.Conn]*recording
	past   []*recording // of connections that have ended
	lost   string       // see LoseAnswers
	slow   time.Duration
}

// Message is what a client says in PostgreSQL's protocol: its type, such as
// 'P' for Parse, and its strings, as far as it begins with some.
type Message struct {
	Type    byte
	Strings []string
}

// NewProxy starts a proxy in front of the target.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	p := &Proxy{Addr: "127.0.0.1:0", target: target, conns: make(map[net.Conn]*recording)}
	p.Start(t)
	t.Cleanup(p.Stop)
	return p
}

// Start lets connections in, again after Stop.
func (p *Proxy) Start(t testing.TB) {
	t.Helper()
	ln, err := net.Listen("tcp", p.Addr)
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ln, p.Addr = ln, ln.Addr().String()
	go p.serve(ln)
}

// Stop refuses new connections and cuts those there are, as a server does that
// is killed.
func (p *Proxy) Stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.ln.Close()
	for conn, r := range p.conns {
		_ = conn.Close()
		p.past = append(p.past, r)
	}
	clear(p.conns)
}

// LoseAnswers cuts a client's connection instead of passing on what the server
// answers to a statement that contains the text, until it is called with "".
func (p *Proxy) LoseAnswers(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost = text
}

// Slow has every answer take so much longer.
func (p *Proxy) Slow(by time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slow = by
}

func (p *Proxy) slowness() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.slow
}

func (p *Proxy) loses(r *recording) bool {
	p.mu.Lock()
	text := p.lost
	p.mu.Unlock()
	if text == "" {
		return false
	}
	said := r.messages()
	for i := len(said) - 1; i >= 0; i-- {
		if said[i].Type == 'P' {
			return strings.Contains(said[i].Strings[1], text)
		}
	}
	return false
}

// Messages returns what each client has said so far, in the order it said it.
func (p *Proxy) Messages() [][]Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all [][]Message
	for _, r := range p.past {
		all = append(all, r.messages())
	}
	for _, r := range p.conns {
		all = append(all, r.messages())
	}
	return all
}

func (p *Proxy) serve(ln net.Listener) {
	for {
		client, err := ln.Accept()
		if err != nil {
			return
		}
		go p.pass(client)
	}
}

func (p *Proxy) pass(client net.Conn) {
	defer client.Close()
	server, err := new(net.Dialer).DialContext(context.Background(), "tcp", p.target)
	if err != nil {
		return
	}
	defer server.Close()
	r := &recording{}
	p.mu.Lock()
	p.conns[client] = r
	p.mu.Unlock()
	go func() {
		_, _ = io.Copy(client, answers{server, p, r})
		_ = client.Close()
	}()
	_, _ = io.Copy(io.MultiWriter(r, server), client)
}

// answers are those that are not lost.
type answers struct {
	io.Reader
	proxy *Proxy
	to    *recording
}

// Read implements io.Reader.
func (a answers) Read(b []byte) (int, error) {
	n, err := a.Reader.Read(b)
	if by := a.proxy.slowness(); by > 0 {
		<-time.After(by)
	}
	if a.proxy.loses(a.to) {
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

// recording is what one client has said.
type recording struct {
	mu    sync.Mutex
	bytes []byte
}

// Write implements io.Writer.
func (r *recording) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bytes = append(r.bytes, b...)
	return len(b), nil
}

// messages parses the recording. The first message, of the start, has no type.
func (r *recording) messages() (list []Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rest := r.bytes
	if len(rest) < 4 {
		return nil
	}
	rest = rest[min(len(rest), int(binary.BigEndian.Uint32(rest))):]
	for len(rest) >= 5 {
		size := 1 + int(binary.BigEndian.Uint32(rest[1:]))
		if len(rest) < size {
			break
		}
		m := Message{Type: rest[0]}
		switch body := rest[5:size]; m.Type {
		case 'Q': // a simple query
			m.Strings = cStrings(body, 1)
		case 'P', 'B': // statement and text; portal and statement
			m.Strings = cStrings(body, 2)
		}
		list = append(list, m)
		rest = rest[size:]
	}
	return list
}

func cStrings(b []byte, n int) (list []string) {
	for range n {
		for i, c := range b {
			if c == 0 {
				list, b = append(list, string(b[:i])), b[i+1:]
				break
			}
		}
	}
	return list
}
