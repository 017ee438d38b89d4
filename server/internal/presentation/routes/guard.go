package routes

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"

	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/problems"
)

// guard stands before Fiber. It refuses what fasthttp lets through although
// others may read it differently, and what Fiber would answer in words of its
// own, before any middleware.
func guard(app *fiber.App, answers answers, bodyLimit int) {
	server := app.Server()
	next, unreadable := server.Handler, server.ErrorHandler
	refuse := func(fctx *fasthttp.RequestCtx, err error) {
		c := app.AcquireCtx(fctx)
		defer app.ReleaseCtx(c)
		_ = answers.refused(c, err) // it fails only if our own problem does not encode
	}
	server.Handler = func(fctx *fasthttp.RequestCtx) {
		closes, err := acceptable(&fctx.Request.Header)
		if closes {
			fctx.SetConnectionClose()
		}
		if err != nil {
			refuse(fctx, err)
			return
		}
		next(fctx)
	}
	// A client that asks before it sends its body is told at once what would
	// come of it. fasthttp closes the connection after any other answer than 100.
	server.ExpectHandler = func(fctx *fasthttp.RequestCtx) int {
		header := &fctx.Request.Header
		_, err := acceptable(header)
		if err == nil && header.ContentLength() > bodyLimit {
			err = fiber.ErrRequestEntityTooLarge
		}
		if err == nil {
			return fiber.StatusContinue
		}
		refuse(fctx, err)
		return fctx.Response.StatusCode()
	}
	// What fasthttp cannot read, it hands to Fiber, which knows most of it.
	server.ErrorHandler = func(fctx *fasthttp.RequestCtx, err error) {
		switch {
		case isEndlessLine(err):
			refuse(fctx, fiber.ErrRequestURITooLong)
		case strings.Contains(err.Error(), "unsupported http request method"): // it is no token
			refuse(fctx, fiber.ErrBadRequest)
		default:
			unreadable(fctx, err)
		}
	}
}

// isEndlessLine tells a request line that does not fit the buffer from headers
// that do not. fasthttp tells it only in the text of its error, which quotes
// both ends of the buffer: in an endless line neither has a line's end. A long
// line before one long header looks the same; it is too long for many, too.
func isEndlessLine(err error) bool {
	var small *fasthttp.ErrSmallBuffer
	return errors.As(err, &small) && !strings.Contains(small.Error(), `\n`)
}

// acceptable finds what must not reach a handler, and whether the connection
// must be closed after the answer. It runs for every request.
func acceptable(h *fasthttp.RequestHeader) (closes bool, err error) {
	if !bytes.HasPrefix(h.Protocol(), []byte("HTTP/1.")) {
		return true, problems.VersionUnsupported.Because("this server speaks HTTP/1.1 and HTTP/1.0")
	}
	closes, framed := readFraming(h)
	if !framed {
		return true, fiber.ErrBadRequest // who knows where the next request begins
	}
	if !slices.Contains(fiber.DefaultMethods, string(h.Method())) {
		return closes, fiber.ErrNotImplemented
	}
	return closes, nil
}

var (
	connection       = []byte("connection")
	contentLength    = []byte("content-length")
	transferEncoding = []byte("transfer-encoding")
)

// readFraming tells whether all who read the request agree on where it ends, and
// whether the client wants the connection to end with it.
//
// RFC 9112, 6.1 has a server refuse, or at least distrust, a transfer coding
// beside a length or from HTTP/1.0, since a proxy that reads only one of them
// passes on two requests as one; and codings other than chunked. 5.2 lets it
// refuse folded lines. fasthttp takes the coding, forgets the length, forgets
// the coding identity, unfolds, and knows only the spelling "close"; so this
// looks at the headers as they came.
func readFraming(h *fasthttp.RequestHeader) (closes, framed bool) {
	coded, long := false, false
	for line := range bytes.Lines(h.RawHeaders()) {
		switch line[0] | 0x20 { // a letter's lower case
		case 't':
			coded = coded || isNamed(line, transferEncoding)
		case 'c':
			long = long || isNamed(line, contentLength)
			closes = closes || isNamed(line, connection) && hasToken(line[len(connection)+1:], "close")
		case ' ', '\t' | 0x20:
			return true, false
		}
	}
	chunked := h.ContentLength() == -1
	return closes, !coded || chunked && !long && h.IsHTTP11()
}

func isNamed(line, name []byte) bool {
	return len(line) > len(name) && line[len(name)] == ':' && bytes.EqualFold(line[:len(name)], name)
}

// hasToken tells whether a list has the token, in whatever case.
func hasToken(list []byte, token string) bool {
	for item := range bytes.SplitSeq(list, []byte(",")) {
		if strings.EqualFold(string(bytes.TrimSpace(item)), token) {
			return true
		}
	}
	return false
}
