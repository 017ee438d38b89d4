package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// smoke runs the load tests' smoke suite, shortened, against an API.
func smoke(t *testing.T, api string, settings ...string) (string, error) {
	t.Helper()
	if _, err := exec.LookPath("mvn"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("Maven is missing: CI must not pass over the load tests")
		}
		t.Skip("needs Maven: `make loadtest-smoke` installs it")
	}
	cmd := exec.CommandContext(t.Context(), "../../../scripts/loadtest-sharded.sh", "smoke")
	cmd.Env = append(os.Environ(), "LOADTEST_RUNTIME=native", "LOADTEST_URL="+api, "LOADTEST_RESULTS="+t.TempDir(),
		"USERS=10", "RAMP=1", "DURATION=8", "THINK_MS=50", "MAX_KO=0")
	cmd.Env = append(cmd.Env, settings...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestLoadtest runs Gatling against a server that is right.
func TestLoadtest(t *testing.T) {
	testcluster.Open(t)
	s := start(t)
	out, err := smoke(t, s.url, "P95_MS=10000", "P99_MS=10000")
	if err != nil || !strings.Contains(out, "smoke passed") {
		t.Fatalf("%v:\n%s", err, out)
	}
	total := regexp.MustCompile(`(?m)^all +(\d+) +100 %`).FindStringSubmatch(out)
	if total == nil {
		t.Fatalf("no summary:\n%s", out)
	}
	if requests, _ := strconv.Atoi(total[1]); requests < 100 { // 250 on a machine with ten times too much to do
		t.Errorf("%d requests in 9 s of 10 users who think 50 ms:\n%s", requests, out)
	}
}

// TestLoadtestNoticesFaults runs Gatling against a server that is wrong once in
// each way that the load tests look for. Each must be noticed.
func TestLoadtestNoticesFaults(t *testing.T) {
	testcluster.Open(t)
	s := start(t)
	target, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	broken := &faults{server: s, t: t, seen: map[string]int{}}
	proxy := &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ModifyResponse: broken.spoil,
		Transport:      broken,
	}
	front := httptest.NewServer(proxy)
	t.Cleanup(front.Close)

	out, err := smoke(t, front.URL, "P95_MS=1000", "P99_MS=3000")
	if err == nil {
		t.Errorf("the suite passed:\n%s", out)
	}
	for fault, want := range map[string]string{
		"create answers another name":          `(?m)^KO .*jmesPath\(name\)`,
		"address given twice":                  `create, address taken: percentage .* : false`,
		"just created, not found":              `(?m)^KO .*status.*200.*404`,
		"read answers another address":         `(?m)^KO .*jmesPath\(email\)`,
		"address not found":                    `find by e-mail: percentage .* : false`,
		"update changes created_at":            `(?m)^KO .*jmesPath\(created_at\)`,
		"delete does nothing":                  `read, deleted: percentage .* : false`,
		"page out of order":                    `list, newest: percentage .* : false`,
		"page with a repetition":               `list, by offset: percentage .* : false`,
		"slow page":                            `list, by offset: 99th percentile .* : false`,
		"walk that begins anew":                `walk: percentage .* : false`,
		"pages are told to be out of order":    `(?m)^KO .*newest first, without repeats.* stands after `,
		"strong walk passes a user by":         `(?m)^KO .*misses nobody.* is skipped`,
		"users are lost who were acknowledged": `(?m)^LOST: \d+ users`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("not noticed: %s (no %s)", fault, want)
		}
	}
	if t.Failed() {
		t.Logf("faults: %v\n%s", broken.seen, out)
	}
}

// faults stands between the load generator and a server, and spoils one answer
// of each kind.
type faults struct {
	server *server
	t      *testing.T
	mu     sync.Mutex
	seen   map[string]int
}

// nth reports whether this is the n-th of its kind.
func (f *faults) nth(kind string, n int) bool {
	return f.between(kind, n, n)
}

// between reports whether this is one of those of its kind, the first and the last included.
func (f *faults) between(kind string, first, last int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen[kind]++
	return f.seen[kind] >= first && f.seen[kind] <= last
}

// RoundTrip sends the request on, or a little less than that.
func (f *faults) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodDelete && f.nth("delete", 2) {
		return &http.Response{StatusCode: http.StatusNoContent, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
	}
	query := r.URL.Query()
	if query.Has("cursor") && r.Header.Get("Consistency") == "" && f.nth("walk", 3) {
		r.URL.RawQuery = "limit=20"
	}
	return http.DefaultTransport.RoundTrip(r)
}

// spoil changes what the server answered.
func (f *faults) spoil(res *http.Response) error {
	r, query := res.Request, res.Request.URL.Query()
	list := r.URL.Path == listPath
	if !strings.HasPrefix(r.URL.Path, listPath) || res.StatusCode >= 500 {
		return nil
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	var one map[string]any
	var page []map[string]any
	_ = json.Unmarshal(body, &one) // one of the two, or neither
	_ = json.Unmarshal(body, &page)

	var changed any
	switch {
	case res.StatusCode == http.StatusCreated && f.nth("create", 4):
		one["name"] = "Somebody Else"
		changed = one
	case res.StatusCode == http.StatusCreated && f.between("lost", 9, 18): // more than the faults above leave over
		if status, answer, err := f.server.send(http.MethodDelete, path(fmt.Sprint(one["id"])), ""); err != nil || status != http.StatusNoContent {
			f.t.Errorf("delete behind the load test's back: %d %s %v", status, answer, err)
		}
	case res.StatusCode == http.StatusConflict && f.nth("taken", 2):
		res.StatusCode = http.StatusCreated
	case r.Method == http.MethodGet && !list && res.StatusCode == http.StatusOK && f.nth("read", 20):
		res.StatusCode = http.StatusNotFound
	case r.Method == http.MethodGet && !list && res.StatusCode == http.StatusOK && f.nth("other", 30):
		one["email"] = "else@example.com"
		changed = one
	case r.Method == http.MethodPut && f.nth("update", 2):
		one["created_at"] = "2001-01-01T00:00:00Z"
		changed = one
	case query.Has("email") && len(page) == 1 && f.nth("find", 2):
		changed = []any{}
	case query.Get("offset") == "0" && len(page) > 1 && f.nth("order", 2):
		slices.Reverse(page)
		changed = page
	case query.Has("offset") && query.Get("offset") != "0" && len(page) > 1:
		if f.nth("repeat", 2) {
			changed = append(page[:1:1], page[:len(page)-1]...)
		}
		if f.nth("slow", 3) {
			<-time.After(4 * time.Second) // the fault is this time
		}
	case r.Header.Get("Consistency") == "strong" && !query.Has("cursor") && len(page) > 10 && f.nth("skip", 1):
		changed = page[10:] // among ten of the newest is one of every walker's, or of the next one's
	}
	if changed != nil {
		if body, err = json.Marshal(changed); err != nil {
			return err
		}
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	res.ContentLength = int64(len(body))
	res.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return nil
}
