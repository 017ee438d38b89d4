package contracttest

import (
	"bytes"
	"io"
	"net/http"
	"testing"
)

// Check fails the test if an answer is outside the contract.
func Check(t testing.TB, req *http.Request, res *http.Response, body []byte) {
	t.Helper()
	contract, err := Load()
	if err == nil {
		err = contract.Check(req, res, body)
	}
	if err != nil {
		t.Error(err)
	}
}

// Transport checks every answer that passes through it. The test must not end
// before its last request.
func Transport(t testing.TB, base http.RoundTripper) http.RoundTripper {
	t.Helper()
	return &checked{t: t, base: base}
}

type checked struct {
	t    testing.TB
	base http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (c *checked) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := c.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	res.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), failing{err}))
	if err == nil { // what was cut short is no answer
		Check(c.t, req, res, body)
	}
	return res, nil
}

// CloseIdleConnections passes on what http.Client asks of its transport.
func (c *checked) CloseIdleConnections() {
	(&http.Client{Transport: c.base}).CloseIdleConnections()
}

// failing is the end of a body that was cut short, or of a whole one.
type failing struct{ err error }

// Read implements io.Reader.
func (f failing) Read([]byte) (int, error) {
	if f.err == nil {
		return 0, io.EOF
	}
	return 0, f.err
}
