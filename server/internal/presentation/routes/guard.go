package routes

import (
	"bytes"
	"slices"

	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"

	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/problems"
)

// guard stands before Fiber. It refuses what fasthttp lets through although
// others may read it differently, and methods that Fiber has no number for,
// which it would answer itself, in plain text and before any middleware.
func guard(app *fiber.App, answers answers, bodyLimit int) {
	next := app.Server().Handler
	refuse := func(fctx *fasthttp.RequestCtx, err error) {
		c := app.AcquireCtx(fctx)
		defer app.ReleaseCtx(c)
		_ = answers.refused(c, err) // it fails only if our own problem does not encode
	}
	app.Server().Handler = func(fctx *fasthttp.RequestCtx) {
		err := acceptable(&fctx.Request.Header)
		if err == nil {
			next(fctx)
			return
		}
		if problemOf(err).Status != fiber.StatusNotImplemented {
			fctx.SetConnectionClose() // who knows where the next request begins
		}
		refuse(fctx, err)
	}
	// A client that asks before it sends its body is told at once what would
	// come of it. fasthttp closes the connection after any other answer than 100.
	app.Server().ExpectHandler = func(fctx *fasthttp.RequestCtx) int {
		header := &fctx.Request.Header
		err := acceptable(header)
		if err == nil && header.ContentLength() > bodyLimit {
			err = fiber.ErrRequestEntityTooLarge
		}
		if err == nil {
			return fiber.StatusContinue
		}
		refuse(fctx, err)
		return fctx.Response.StatusCode()
	}
}

// acceptable finds what must not reach a handler. It runs for every request.
func acceptable(h *fasthttp.RequestHeader) error {
	if !bytes.HasPrefix(h.Protocol(), []byte("HTTP/1.")) {
		return problems.VersionUnsupported.Because("this server speaks HTTP/1.1 and HTTP/1.0")
	}
	if !isFramedOnce(h) {
		return fiber.ErrBadRequest
	}
	if !slices.Contains(fiber.DefaultMethods, string(h.Method())) {
		return fiber.ErrNotImplemented
	}
	return nil
}

var (
	transferEncoding = []byte("transfer-encoding")
	contentLength    = []byte("content-length")
)

// isFramedOnce tells whether all who read the request agree on where it ends.
// RFC 9112, 6.1 has a server refuse, or at least distrust, a transfer coding
// beside a length or from HTTP/1.0, since a proxy that reads only one of them
// passes on two requests as one; and codings other than chunked. fasthttp takes
// the coding, forgets the length, and forgets the coding identity too, so this
// looks at the headers as they came.
func isFramedOnce(h *fasthttp.RequestHeader) bool {
	coded, long := false, false
	for line := range bytes.Lines(h.RawHeaders()) {
		switch line[0] | 0x20 {
		case 't':
			coded = coded || hasName(line, transferEncoding)
		case 'c':
			long = long || hasName(line, contentLength)
		}
	}
	chunked := h.ContentLength() == -1
	return !coded || chunked && !long && h.IsHTTP11()
}

func hasName(line, name []byte) bool {
	return len(line) > len(name) && line[len(name)] == ':' && bytes.EqualFold(line[:len(name)], name)
}
