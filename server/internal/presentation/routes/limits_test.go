package routes

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/handlers"
)

// limitTo lets each client make so many requests, and notes who they are.
func limitTo(quota int, clients *[]string, proxies ...string) func(*Config) {
	taken := map[netip.Addr]int{}
	limit := &RateLimit{Quota: quota, Window: time.Minute, Take: func(client netip.Addr) (left int, next time.Duration, ok bool) {
		*clients = append(*clients, client.String())
		taken[client]++
		return max(0, quota-taken[client]), 41*time.Second + 1, taken[client] <= quota
	}}
	for _, p := range proxies {
		limit.Proxies = append(limit.Proxies, netip.MustParsePrefix(p))
	}
	return func(cfg *Config) { cfg.RateLimit = limit }
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	var clients []string
	b := setupWith(t, limitTo(3, &clients))
	for n, want := range []struct {
		method, path string
		status       int
		limit        string
	}{
		{http.MethodGet, handlers.UsersPath + adaID.String(), 200, `"default";r=2;t=42`},
		{http.MethodGet, "/nowhere", 404, `"default";r=1;t=42`},
		{http.MethodHead, "/docs", 200, `"default";r=0;t=42`},
		{http.MethodGet, handlers.UsersPath + adaID.String(), 429, `"default";r=0;t=42`},
		{http.MethodDelete, handlers.UsersPath + adaID.String(), 429, `"default";r=0;t=42`},
	} {
		got := b.send(t, want.method, want.path, "")
		if got.status != want.status || got.header.Get("RateLimit") != want.limit || got.header.Get("RateLimit-Policy") != `"default";q=3;w=60` {
			t.Errorf("request %d: got %d %v, want %d and %s", n, got.status, got.header, want.status, want.limit)
		}
		refused := want.status == 429
		if retry := got.header.Get("Retry-After"); refused != (retry == "42") {
			t.Errorf("request %d: got Retry-After %q", n, retry)
		}
		if refused && !strings.Contains(got.body, `"type":"/problems/too-many-requests"`) {
			t.Errorf("request %d: got %s", n, got.body)
		}
	}
	if _, err := b.storage.ByID(t.Context(), adaID); err != nil {
		t.Errorf("a request that was refused did something: %v", err)
	}
	before := len(clients)
	for _, path := range []string{"/health", "/livez", "/readyz", "/health/", "/readyz/"} {
		if got := b.send(t, http.MethodGet, path, ""); got.status != 200 || got.header.Get("RateLimit") != "" {
			t.Errorf("%s: got %d %v, want no limit", path, got.status, got.header)
		}
	}
	if len(clients) != before {
		t.Error("health checks are counted")
	}
	if got := setup(t).send(t, http.MethodGet, "/docs", ""); got.header.Get("RateLimit") != "" || got.header.Get("RateLimit-Policy") != "" {
		t.Errorf("without a limit: got %v", got.header)
	}
}

// TestWhoIsLimited sends what proxies and liars put into X-Forwarded-For. In these
// tests requests come from 0.0.0.0.
func TestWhoIsLimited(t *testing.T) {
	t.Parallel()
	const peer = "0.0.0.0"
	type app struct {
		*bundle
		clients []string
	}
	apps := map[string]*app{} // by their proxies
	for _, test := range []struct {
		proxies   string
		forwarded []string
		want      string
	}{
		{"", nil, peer},
		{"", []string{"192.0.2.1"}, peer}, // anybody can say so
		{"10.0.0.0/8", []string{"192.0.2.1"}, peer},
		{"0.0.0.0/32", nil, peer},
		{"0.0.0.0/32", []string{"192.0.2.1"}, "192.0.2.1"},
		{"0.0.0.0/32", []string{"198.51.100.9, 192.0.2.1"}, "192.0.2.1"}, // the first is what the client said
		{"0.0.0.0/32", []string{"198.51.100.9", "192.0.2.1"}, "192.0.2.1"},
		{"0.0.0.0/32 10.0.0.0/8", []string{"198.51.100.9, 192.0.2.1,10.1.1.1 , 10.2.2.2"}, "192.0.2.1"},
		{"0.0.0.0/32 10.0.0.0/8", []string{"10.1.1.1"}, "10.1.1.1"}, // all are ours: the first
		{"0.0.0.0/32", []string{"192.0.2.1, unknown"}, peer},
		{"0.0.0.0/32", []string{""}, peer},
		{"0.0.0.0/32", []string{"192.0.2.1:4711"}, "192.0.2.1"},
		{"0.0.0.0/32", []string{"[2001:db8::1]:4711"}, "2001:db8::1"},
		{"0.0.0.0/32 10.0.0.0/8", []string{"192.0.2.1, ::ffff:10.1.1.1"}, "192.0.2.1"},
	} {
		a := apps[test.proxies]
		if a == nil {
			a = new(app)
			a.bundle = setupWith(t, limitTo(100, &a.clients, strings.Fields(test.proxies)...))
			apps[test.proxies] = a
		}
		a.clients = nil
		var headers []string
		for _, f := range test.forwarded {
			headers = append(headers, "X-Forwarded-For", f)
		}
		a.send(t, http.MethodGet, "/docs", "", headers...)
		if len(a.clients) != 1 || a.clients[0] != test.want {
			t.Errorf("proxies %q, X-Forwarded-For %q: got %v, want %s", test.proxies, test.forwarded, a.clients, test.want)
		}
	}
}
