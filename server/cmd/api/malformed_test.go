package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/contract/contracttest"
	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/problems"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

const readTimeout = 500 * time.Millisecond

// malformed is what one connection sends, and what it must be answered.
type malformed struct {
	name string
	send string
	then then
	want []int // a status for each answer, 100 too
	open bool  // the connection takes another request afterwards
}

// then is what the client does after it has sent everything.
type then int

const (
	waits    then = iota // for the server
	finishes             // closes its half of the connection
	drips                // sends more headers, a byte at a time, for ever
)

const (
	get    = "GET /livez HTTP/1.1\r\nHost: a\r\n"
	post   = "POST /api/v1/users/ HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
	nobody = `{"name":""}`
	byID   = "GET /api/v1/users/01939f2e-7c1a-7bd2-8f0e-3f5b6c7d8e9f"
)

// withBody is a request with its body's length.
func withBody(head, body string) string {
	return head + "Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
}

// chunked is a request whose body comes in chunks as written.
func chunked(body string) string { return post + "Transfer-Encoding: chunked\r\n\r\n" + body }

// The tables are functions, because every server that a test starts is this program, and would make them, too.
func requestLines() []malformed {
	return []malformed{
		{name: "line noise", send: "\x00\x01\x02\x03\r\n\r\n", want: []int{400}},
		{name: "TLS", send: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", want: []int{400}},
		{name: "HTTP/2", send: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", want: []int{505}},
		{name: "HTTP/0.9", send: "GET /livez\r\n", want: []int{400}},
		{name: "HTTP/1.0", send: "GET /livez HTTP/1.0\r\n\r\n", want: []int{200}},
		{name: "HTTP/1.0, keep-alive", send: "GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", want: []int{200}, open: true},
		{name: "HTTP/3.0", send: "GET /livez HTTP/3.0\r\nHost: a\r\n\r\n", want: []int{505}},
		{name: "version in lower case", send: "GET /livez http/1.1\r\nHost: a\r\n\r\n", want: []int{400}},
		{name: "version with more digits", send: "GET /livez HTTP/1.10\r\nHost: a\r\n\r\n", want: []int{400}},
		{name: "two spaces", send: "GET  /livez HTTP/1.1\r\nHost: a\r\n\r\n", want: []int{400}},
		{name: "tabs", send: "GET\t/livez\tHTTP/1.1\r\nHost: a\r\n\r\n", want: []int{400}},
		{name: "method in lower case", send: "get /livez HTTP/1.1\r\nHost: a\r\n\r\n", want: []int{501}, open: true},
		{name: "method unknown", send: "BREW /livez HTTP/1.1\r\nHost: a\r\n\r\n", want: []int{501}, open: true},
		{name: "method no token", send: "G(T /livez HTTP/1.1\r\nHost: a\r\n\r\n", want: []int{400}},
		{name: "method endless", send: strings.Repeat("G", 20_000), want: []int{414}},
		{name: "no target", send: "GET HTTP/1.1\r\nHost: a\r\n\r\n", want: []int{400}},
		{name: "target without slash", send: "GET livez HTTP/1.1\r\nHost: a\r\n\r\n", want: []int{400}},
		{name: "target with a space", send: "GET /livez x HTTP/1.1\r\nHost: a\r\n\r\n", want: []int{400}},
		{name: "target with a control character", send: "GET /li\x01vez HTTP/1.1\r\nHost: a\r\n\r\n", want: []int{400}},
		{name: "target endless", send: "GET /" + strings.Repeat("a", 20_000) + " HTTP/1.1\r\nHost: a\r\n\r\n", want: []int{414}},
		{name: "target absolute", send: "GET http://b/livez HTTP/1.1\r\nHost: a\r\n\r\n", want: []int{200}, open: true},
		{name: "target absolute, other scheme", send: "GET ftp://b/nope HTTP/1.1\r\nHost: a\r\n\r\n", want: []int{404}, open: true},
		{name: "target an authority", send: "CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n", want: []int{404}, open: true},
		{name: "target *", send: "GET * HTTP/1.1\r\nHost: a\r\n\r\n", want: []int{404}, open: true},
		{name: "OPTIONS *", send: "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", want: []int{204}, open: true},
	}
}

func paths() []malformed {
	return []malformed{
		{name: "dots", send: "GET /api/v1/users/../../../livez HTTP/1.1\r\nHost: a\r\n\r\n", want: []int{404}, open: true},
		{name: "dots, encoded", send: "GET /api/%2e%2e/livez HTTP/1.1\r\nHost: a\r\n\r\n", want: []int{404}, open: true},
		{name: "NUL, encoded", send: "GET /livez%00 HTTP/1.1\r\nHost: a\r\n\r\n", want: []int{404}, open: true},
		{name: "NUL in an id", send: byID + "%00 HTTP/1.1\r\nHost: a\r\n\r\n", want: []int{400}, open: true},
		{name: "two slashes", send: "GET //livez HTTP/1.1\r\nHost: a\r\n\r\n", want: []int{404}, open: true},
		{name: "slash, encoded", send: byID + "%2F HTTP/1.1\r\nHost: a\r\n\r\n", want: []int{400}, open: true},
		{name: "percent, cut off", send: byID + "% HTTP/1.1\r\nHost: a\r\n\r\n", want: []int{400}, open: true},
		{name: "backslash", send: "GET /api\\v1\\users HTTP/1.1\r\nHost: a\r\n\r\n", want: []int{404}, open: true},
		{name: "no UTF-8", send: "GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n", want: []int{404}, open: true},
		{name: "an id of a version that is none", send: "GET /api/v1/users/ffffffff-ffff-ffff-ffff-ffffffffffff HTTP/1.1\r\nHost: a\r\n\r\n", want: []int{404}, open: true},
		{name: "query with NUL and no UTF-8", send: "GET /api/v1/users/?limit=%00%ff HTTP/1.1\r\nHost: a\r\n\r\n", want: []int{400}, open: true},
	}
}

func headers() []malformed {
	return []malformed{
		{name: "no Host", send: "GET /livez HTTP/1.1\r\n\r\n", want: []int{400}},
		{name: "empty Host", send: "GET /livez HTTP/1.1\r\nHost:\r\n\r\n", want: []int{400}},
		{name: "two Hosts", send: get + "Host: b\r\n\r\n", want: []int{400}},
		{name: "Host with a space", send: "GET /livez HTTP/1.1\r\nHost: a b\r\n\r\n", want: []int{400}},
		{name: "Host with a slash", send: "GET /livez HTTP/1.1\r\nHost: a/b\r\n\r\n", want: []int{400}},
		{name: "no colon", send: get + "Nonsense\r\n\r\n", want: []int{400}},
		{name: "space before the colon", send: get + "Accept : */*\r\n\r\n", want: []int{400}},
		{name: "no name", send: get + ": x\r\n\r\n", want: []int{400}},
		{name: "name no token", send: get + "(x): y\r\n\r\n", want: []int{400}},
		{name: "folded", send: get + "Accept: a,\r\n b\r\n\r\n", want: []int{400}},
		{name: "folded at once", send: "GET /livez HTTP/1.1\r\n Host: a\r\n\r\n", want: []int{400}},
		{name: "NUL", send: get + "Accept: a\x00b\r\n\r\n", want: []int{400}},
		{name: "CR alone", send: get + "Accept: a\rb\r\n\r\n", want: []int{400}},
		{name: "LF alone ends lines", send: "GET /livez HTTP/1.1\nHost: a\n\n", want: []int{408}}, // nothing has ended yet
		{name: "Latin-1", send: get + "Accept: \xe4\r\n\r\n", want: []int{200}, open: true},
		{name: "a long one", send: get + "X: " + strings.Repeat("a", 20_000) + "\r\n\r\n", want: []int{431}},
		{name: "many", send: get + strings.Repeat("A: b\r\n", 5_000) + "\r\n", want: []int{431}},
		{name: "request id with spaces", send: get + "X-Request-ID: a b\r\n\r\n", want: []int{200}, open: true},
		{name: "upgrade to HTTP/2", send: get + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n", want: []int{200}, open: true},
		{name: "HEAD of nothing", send: "HEAD /nope HTTP/1.1\r\nHost: a\r\n\r\n", want: []int{404}, open: true},
		{name: "HEAD with too large a body", send: withBody("HEAD /livez HTTP/1.1\r\nHost: a\r\n", strings.Repeat(" ", 70_000)), want: []int{413}},
		{name: "close among others", send: get + "Connection: te, CLOSE\r\n\r\n", want: []int{200}},
		{name: "close for a refusal", send: "BREW / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n", want: []int{501}},
		{name: "closed, by the name of another header", send: get + "Connections: close\r\n\r\n", want: []int{200}, open: true},
		{name: "Close, in capitals", send: get + "Connection: Close\r\n\r\n", want: []int{200}},
	}
}

func silences() []malformed {
	return []malformed{
		{name: "nothing", want: []int{408}},
		{name: "nothing, finished", then: finishes},
		{name: "empty lines, finished", send: "\r\n\r\n", then: finishes},
		{name: "half a line", send: "GET /livez HT", want: []int{408}},
		{name: "half a line, finished", send: "GET /livez HT", then: finishes, want: []int{400}},
		{name: "half the headers", send: get + "Accept: ", want: []int{408}},
		{name: "half the headers, finished", send: get + "Accept: ", then: finishes, want: []int{400}},
		{name: "headers without end", send: get + "X: ", then: drips, want: []int{408}},
		{name: "half a body", send: post + "Content-Length: 100\r\n\r\n{", want: []int{408}},
		{name: "half a body, finished", send: post + "Content-Length: 100\r\n\r\n{", then: finishes, want: []int{400}},
		{name: "half a chunk", send: chunked("10\r\n{"), want: []int{408}},
		{name: "half a chunk, finished", send: chunked("10\r\n{"), then: finishes, want: []int{400}},
		{name: "no last chunk", send: chunked("2\r\n{}\r\n"), want: []int{408}},
		{name: "no body after 100", send: post + "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n", want: []int{100, 408}},
	}
}

func lengths() []malformed {
	return []malformed{
		{name: "twice the same", send: post + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", want: []int{400}},
		{name: "two of them", send: post + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", want: []int{400}},
		{name: "a list", send: post + "Content-Length: 2, 2\r\n\r\n{}", want: []int{400}},
		{name: "with a plus", send: post + "Content-Length: +2\r\n\r\n{}", want: []int{400}},
		{name: "negative", send: post + "Content-Length: -2\r\n\r\n{}", want: []int{400}},
		{name: "hexadecimal", send: post + "Content-Length: 0x2\r\n\r\n{}", want: []int{400}},
		{name: "empty", send: post + "Content-Length:\r\n\r\n{}", want: []int{400}},
		{name: "beyond 64 bits", send: post + "Content-Length: 18446744073709551618\r\n\r\n{}", want: []int{400}},
		{name: "the largest number", send: post + "Content-Length: 9223372036854775807\r\n\r\n{}", want: []int{413}},
		{name: "too much", send: withBody(post, strings.Repeat(" ", 70_000)), want: []int{413}},
		{name: "far too much", send: withBody(post, strings.Repeat(" ", 8<<20)), want: []int{413}},
		{name: "shorter than the body", send: post + "Content-Length: 2\r\n\r\n{}, and more\r\n\r\n", want: []int{400, 400}},
		{name: "and a coding", send: post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + get + "\r\n", want: []int{400}},
		{name: "after a coding", send: post + "transfer-encoding: chunked\r\nCONTENT-LENGTH: 5\r\n\r\n0\r\n\r\n" + get + "\r\n", want: []int{400}},
		{name: "and no coding", send: post + "Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}", want: []int{400}},
		{name: "of a GET's body", send: withBody(get, "{}") + get + "\r\n", want: []int{200, 200}, open: true},
	}
}

func codings() []malformed {
	return []malformed{
		{name: "well-formed chunks", send: chunked("3\r\n{\"n\r\n8\r\name\":\"\"}\r\n0\r\n\r\n"), want: []int{400}, open: true},
		{name: "an extension", send: chunked("b;x=y\r\n" + nobody + "\r\n0\r\n\r\n"), want: []int{400}, open: true},
		{name: "twice", send: post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", want: []int{400}},
		{name: "hidden by a second", send: post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n", want: []int{400}},
		{name: "a list", send: post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", want: []int{400}},
		{name: "misspelt", send: post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", want: []int{400}},
		{name: "quoted", send: post + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", want: []int{400}},
		{name: "identity", send: post + "Transfer-Encoding: identity\r\n\r\n", want: []int{400}},
		{name: "space before the colon", send: post + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", want: []int{400}},
		{name: "vertical tab", send: post + "Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n", want: []int{400}},
		{name: "folded", send: post + "X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", want: []int{400}},
		{name: "of HTTP/1.0", send: "POST /api/v1/users/ HTTP/1.0\r\nConnection: keep-alive\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", want: []int{400}},
		{name: "a size that is no number", send: chunked("zz\r\n{}\r\n0\r\n\r\n"), want: []int{400}},
		{name: "a negative size", send: chunked("-2\r\n{}\r\n0\r\n\r\n"), want: []int{400}},
		{name: "a size of 0x", send: chunked("0x2\r\n{}\r\n0\r\n\r\n"), want: []int{400}},
		{name: "a size beyond 64 bits", send: chunked("10000000000000002\r\n{}\r\n0\r\n\r\n"), want: []int{400}},
		{name: "too much", send: chunked("FFFFFFF\r\n{}"), want: []int{413}},
		{name: "too much, in pieces", send: chunked(strings.Repeat("400\r\n"+strings.Repeat(" ", 1024)+"\r\n", 70)), want: []int{413}},
		{name: "longer than its size", send: chunked("2\r\n{}}}\r\n0\r\n\r\n"), want: []int{400}},
		{name: "lines that end in LF", send: chunked("2\n{}\n0\n\n"), want: []int{400}},
		{name: "an extension with LF", send: chunked("2;\n\r\n{}\r\n0\r\n\r\n"), want: []int{400}},
		{name: "a trailer that is no header", send: chunked("2\r\n{}\r\n0\r\nnonsense\r\n\r\n"), want: []int{400}},
		{name: "a length in the trailer", send: chunked("2\r\n{}\r\n0\r\nContent-Length: 5\r\n\r\n"), want: []int{400}},
	}
}

func bodies() []malformed {
	return []malformed{
		{name: "expected and sent", send: withBody(post+"Expect: 100-continue\r\n", nobody), want: []int{100, 400}, open: true},
		{name: "expected, too large", send: post + "Expect: 100-continue\r\nContent-Length: 70000\r\n\r\n", want: []int{413}},
		{name: "expected, framed twice", send: post + "Expect: 100-continue\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", want: []int{400}},
		{name: "expecting nonsense", send: withBody(post+"Expect: tea\r\n", nobody), want: []int{400}, open: true},
		{name: "none", send: post + "Content-Length: 0\r\n\r\n", want: []int{400}, open: true},
		{name: "none, without length", send: post + "\r\n", want: []int{400}, open: true},
		{name: "no type", send: withBody("POST /api/v1/users/ HTTP/1.1\r\nHost: a\r\n", nobody), want: []int{415}, open: true},
		{name: "a type that is none", send: withBody("POST /api/v1/users/ HTTP/1.1\r\nHost: a\r\nContent-Type: ;;;\r\n", nobody), want: []int{415}, open: true},
		{name: "a form", send: withBody("POST /api/v1/users/ HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=x\r\n", "--x\r\nbroken"), want: []int{415}, open: true},
		{name: "compressed", send: withBody(post+"Content-Encoding: gzip\r\n", "\x1f\x8b\x08\x00\x00"), want: []int{415}, open: true},
		{name: "UTF-16", send: withBody(post, "\xff\xfe{\x00}\x00"), want: []int{400}, open: true},
		{name: "a byte order mark", send: withBody(post, "\xef\xbb\xbf{}"), want: []int{400}, open: true},
		{name: "NULs", send: withBody(post, "{}\x00\x00"), want: []int{400}, open: true},
		{name: "deep", send: withBody(post, `{"name":`+strings.Repeat("[", 60_000)), want: []int{400}, open: true},
		{name: "deep and closed", send: withBody(post, `{"name":`+strings.Repeat("[", 30_000)+strings.Repeat("]", 30_000)+"}"), want: []int{400}, open: true},
		{name: "half an object", send: withBody(post, `{"name":"a","email":"a@b.c"`), want: []int{400}, open: true},
		{name: "an object and more", send: withBody(post, `{"name":"a","email":"a@b.c"}{}`), want: []int{400}, open: true},
		{name: "a field twice", send: withBody(post, `{"name":"a","name":"b","email":"a@b.c"}`), want: []int{400}, open: true},
		{name: "a field in another case", send: withBody(post, `{"name":"a","NAME":"b","email":"a@b.c"}`), want: []int{400}, open: true},
		{name: "a huge number", send: withBody(post, `{"name":1e999999,"email":"a@b.c"}`), want: []int{400}, open: true},
		{name: "a NUL in a string", send: withBody(post, `{"name":"a\u0000","email":"a@b.c"}`), want: []int{400}, open: true},
		{name: "a lone surrogate", send: withBody(post, `{"name":"\ud800","email":"\ud800@b.c"}`), want: []int{400}, open: true},
		{name: "no UTF-8 in a string", send: withBody(post, "{\"name\":\"\xff\xfe\",\"email\":\"a@b.c\"}"), want: []int{400}, open: true},
		{name: "many fields", send: withBody(post, `{"a":1`+strings.Repeat(`,"a":1`, 10_000)+"}"), want: []int{400}, open: true},
	}
}

func pipelines() []malformed {
	return []malformed{
		{name: "three", send: strings.Repeat(get+"\r\n", 3), want: []int{200, 200, 200}, open: true},
		{name: "one and noise", send: get + "\r\n" + "\x00\x01 noise\r\n\r\n", want: []int{200, 400}},
		{name: "one and half another", send: get + "\r\n" + "GET /li", want: []int{200, 408}},
		{name: "a refusal between", send: get + "\r\n" + withBody(post, nobody) + get + "\r\n", want: []int{200, 400, 200}, open: true},
		{name: "nothing after a request to close", send: get + "Connection: close\r\n\r\n" + get + "\r\n", want: []int{200}},
	}
}

// TestMalformed sends what no HTTP library would, byte for byte, and wants an
// answer to each that a client can read, never a fault of ours, in time.
func TestMalformed(t *testing.T) {
	testcluster.Open(t)
	s := start(t, "READ_TIMEOUT="+readTimeout.String())
	t.Run("all", func(t *testing.T) {
		for group, table := range map[string][]malformed{
			"request line": requestLines(), "path": paths(), "header": headers(), "silence": silences(),
			"length": lengths(), "coding": codings(), "body": bodies(), "pipeline": pipelines(),
		} {
			for _, test := range table {
				t.Run(group+"/"+test.name, func(t *testing.T) {
					t.Parallel()
					test.run(t, s)
				})
			}
		}
	})
	s.client.CloseIdleConnections()
	await(t, func() error { return noConnections(s.port(t)) })
	u := must[user](t, s, "POST", "/api/v1/users/", createBody("Ada", fmt.Sprintf("malformed-%d@example.com", time.Now().UnixNano())), 201)
	must[user](t, s, "GET", "/api/v1/users/"+u.ID, "", 200)
	if faults := s.matching(func(l logLine) bool { return l.Level == "ERROR" || l.Status == 500 }); len(faults) > 0 {
		t.Errorf("the server logged faults: %+v", faults)
	}
	if restarts := s.matching(func(l logLine) bool { return l.Msg == "worker ready" }); len(restarts) != workers {
		t.Errorf("got %d workers over time, want %d", len(restarts), workers)
	}
}

func (m malformed) run(t *testing.T, s *server) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const slack = 5 * time.Second // of a busy machine
	if err := conn.SetDeadline(time.Now().Add(readTimeout + slack)); err != nil {
		t.Fatal(err)
	}
	// It may be refused before it is all sent; what counts is the answer.
	go m.play(conn)
	answers := bufio.NewReader(conn)
	method := "GET"
	if strings.HasPrefix(m.send, "HEAD ") {
		method = "HEAD"
	}
	for i, status := range m.want {
		m.check(t, s, answers, method, status)
		if t.Failed() {
			t.Fatalf("at answer %d of %v", i+1, m.want)
		}
	}
	if m.open {
		if _, err := io.WriteString(conn, get+"\r\n"); err != nil {
			t.Fatal(err)
		}
		m.check(t, s, answers, "GET", http.StatusOK)
		return
	}
	if rest, err := io.ReadAll(answers); err != nil && !isReset(err) || len(rest) > 0 {
		t.Errorf("got %q, %v after the answers; want the connection closed", rest, err)
	}
}

// play sends what there is to send.
func (m malformed) play(conn net.Conn) {
	if _, err := io.WriteString(conn, m.send); err != nil {
		return
	}
	switch m.then {
	case waits:
	case finishes:
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
	case drips:
		for tick := time.NewTicker(readTimeout / 10); ; <-tick.C {
			if _, err := io.WriteString(conn, "x"); err != nil {
				return
			}
		}
	}
}

// check reads an answer, which must have the status, an id that the log has too,
// and, if it is a refusal, a problem.
func (m malformed) check(t *testing.T, s *server, answers *bufio.Reader, method string, status int) {
	t.Helper()
	res, err := http.ReadResponse(answers, &http.Request{Method: method})
	if err != nil {
		t.Errorf("got no answer (%v), want %d", err, status)
		return
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != status {
		t.Errorf("got %d %s, %v; want %d", res.StatusCode, body, err, status)
	}
	if status == http.StatusContinue {
		return
	}
	if status >= http.StatusBadRequest { // the others are to requests that are asked for everywhere
		contracttest.Check(t, m.request(status), res, body)
	}
	id := res.Header.Get("X-Request-ID")
	if id == "" {
		t.Errorf("%d has no X-Request-ID", status)
	}
	logged := s.awaitLine(t, func(l logLine) bool { return l.RequestID == id })
	if logged.Status != status {
		t.Errorf("the log has status %d of %s, want %d", logged.Status, id, status)
	}
	if status < 400 || method == http.MethodHead {
		return
	}
	var problem problems.Body
	if err := json.Unmarshal(body, &problem); err != nil || res.Header.Get("Content-Type") != problems.MediaType {
		t.Errorf("got %s %s, %v; want %s", res.Header.Get("Content-Type"), body, err, problems.MediaType)
	}
	typ := problems.Find(strings.TrimPrefix(problem.Type, problems.Path))
	if typ == nil || typ.Status != status || problem.Status != status || problem.RequestID != id || problem.Instance == "" || problem.Detail == "" {
		t.Errorf("got %s, want a problem of status %d that is explained", body, status)
	}
	if status == http.StatusMethodNotAllowed && res.Header.Get("Allow") == "" {
		t.Error("405 without Allow")
	}
}

// request is what is refused with the status, as far as the contract knows it:
// what is no request, or not the only one, or not of a known method or version,
// is for nothing there is.
func (m malformed) request(status int) *http.Request {
	req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(m.send)))
	if err != nil || strings.Count(m.send, " HTTP/") > 1 || status >= http.StatusInternalServerError {
		return &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/nowhere"}}
	}
	return req
}

// isReset tells whether the server closed while there was something to read.
func isReset(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && !op.Timeout()
}

func (s *server) port(t testing.TB) int {
	t.Helper()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return number
}

// noConnections fails while the server holds a connection of a client.
func noConnections(port int) error {
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return err
	}
	const established, closeWait = "01", "08"
	local := fmt.Sprintf(":%04X", port)
	for line := range bytes.Lines(table) {
		fields := strings.Fields(string(line))
		if len(fields) > 3 && strings.HasSuffix(fields[1], local) && (fields[3] == established || fields[3] == closeWait) {
			return fmt.Errorf("the server still has %s", fields[2])
		}
	}
	return nil
}
