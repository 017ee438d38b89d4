package routes

import (
	"net/http"
	"testing"
)

// TestCrossOrigin asks as browsers do, of a server that allows some origins, one
// that allows all and one that allows none.
func TestCrossOrigin(t *testing.T) {
	t.Parallel()
	const users, ada = "/api/v1/users/", "/api/v1/users/01939f2e-7c1a-7bd2-8f0e-3f5b6c7d8e9f"
	off, some, all := setup(t), setup(t, "https://app.example.com", "https://*.example.org"), setup(t, "*")
	for _, test := range []struct {
		name           string
		b              *bundle
		method, path   string
		origin, allows string // Access-Control-Allow-Origin
		vary           string
		status         int
	}{
		{"off", off, "GET", ada, "https://app.example.com", "", "", 200},
		{"off, preflight", off, "OPTIONS", users, "https://app.example.com", "", "", 204},
		{"allowed", some, "GET", ada, "https://app.example.com", "https://app.example.com", "Origin", 200},
		{"allowed, below a domain", some, "GET", ada, "https://a.b.example.org", "https://a.b.example.org", "Origin", 200},
		{"a refusal", some, "GET", users + "?limit=0", "https://app.example.com", "https://app.example.com", "Origin", 400},
		{"a path that is not", some, "GET", "/nope", "https://app.example.com", "https://app.example.com", "Origin", 404},
		{"a method that is not", some, "PATCH", users, "https://app.example.com", "https://app.example.com", "Origin", 405},
		{"another scheme", some, "GET", ada, "http://app.example.com", "", "Origin", 200},
		{"the domain itself", some, "GET", ada, "https://example.org", "", "Origin", 200},
		{"a lookalike", some, "GET", ada, "https://evilexample.org", "", "Origin", 200},
		{"an opaque origin", some, "GET", ada, "null", "", "Origin", 200},
		{"no origin", some, "GET", ada, "", "", "Origin", 200},
		{"preflight", some, "OPTIONS", users, "https://app.example.com", "https://app.example.com", "Access-Control-Request-Method, Access-Control-Request-Headers, Origin", 204},
		{"preflight of another", some, "OPTIONS", users, "https://evil.example", "", "Access-Control-Request-Method, Access-Control-Request-Headers, Origin", 204},
		{"all", all, "GET", ada, "https://evil.example", "*", "", 200},
		{"all, preflight", all, "OPTIONS", users, "https://evil.example", "*", "Access-Control-Request-Method, Access-Control-Request-Headers, Origin", 204},
	} {
		var headers []string
		if test.origin != "" {
			headers = append(headers, "Origin", test.origin)
		}
		if test.method == http.MethodOptions {
			headers = append(headers, "Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", "if-match, content-type")
		}
		got := test.b.send(t, test.method, test.path, "", headers...)
		if got.status != test.status || got.header.Get("Access-Control-Allow-Origin") != test.allows || got.header.Get("Vary") != test.vary {
			t.Errorf("%s: got %d %v, want %d, allowed for %q, Vary %q", test.name, got.status, got.header, test.status, test.allows, test.vary)
		}
		if got.header.Get("X-Request-ID") != sentID {
			t.Errorf("%s: got X-Request-ID %q, want %s", test.name, got.header.Get("X-Request-ID"), sentID)
		}
		const (
			methods = "GET, HEAD, POST, PUT, DELETE"
			asked   = "Content-Type, If-Match, If-None-Match, X-Request-ID, Idempotency-Key, Consistency, Prefer"
			exposed = "ETag, Link, Location, Retry-After, X-Request-ID, Idempotency-Replayed, X-Served-By, As-Of, Missing-Shards, Preference-Applied, RateLimit, RateLimit-Policy"
		)
		if on := test.b != off; test.method == http.MethodOptions && on && (got.header.Get("Access-Control-Allow-Methods") != methods ||
			got.header.Get("Access-Control-Allow-Headers") != asked || got.header.Get("Access-Control-Max-Age") != "600") {
			t.Errorf("%s: got %v, want methods %s, headers %s for 600 s", test.name, got.header, methods, asked)
		}
		if test.allows != "" && got.header.Get("Access-Control-Expose-Headers") != exposed {
			t.Errorf("%s: got %v, want %s exposed", test.name, got.header, exposed)
		}
		if test.b == off && got.header.Get("Access-Control-Expose-Headers")+got.header.Get("Access-Control-Allow-Methods") != "" {
			t.Errorf("%s: got %v, want nothing of CORS", test.name, got.header)
		}
	}
}
