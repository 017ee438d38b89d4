package routes

import (
	"strings"
	"testing"
)

// TestEntityTags walks a user through versions, with clients that know them and
// clients that do not.
func TestEntityTags(t *testing.T) {
	t.Parallel()
	const ada = "/api/v1/users/01939f2e-7c1a-7bd2-8f0e-3f5b6c7d8e9f"
	b := setup(t)
	for _, step := range []struct {
		method, header, tags string
		status               int
		etag                 string
	}{
		{"GET", "", "", 200, `"1"`},
		{"GET", "If-None-Match", "", 400, ""}, // a condition that was lost on its way
		{"GET", "If-None-Match", `"1"`, 304, `"1"`},
		{"GET", "If-None-Match", `W/"1"`, 304, `"1"`},
		{"GET", "If-None-Match", `"7", W/"x,y" , "1"`, 304, `"1"`},
		{"GET", "If-None-Match", "*", 304, `"1"`},
		{"HEAD", "If-None-Match", `"1"`, 304, `"1"`},
		{"GET", "If-None-Match", `"2"`, 200, `"1"`},
		{"GET", "If-None-Match", `"01"`, 200, `"1"`},
		{"GET", "If-None-Match", `1`, 400, ""},
		{"GET", "If-None-Match", `"1" "2"`, 400, ""},
		{"GET", "If-None-Match", `"1`, 400, ""},
		{"PUT", "If-Match", `"2"`, 412, ""},
		{"PUT", "If-Match", `W/"1"`, 412, ""}, // weak tags never match strongly
		{"PUT", "If-Match", `"x"`, 412, ""},
		{"PUT", "If-Match", `"5", "1"`, 200, `"2"`},
		{"PUT", "If-Match", `"1"`, 412, ""},
		{"PUT", "If-Match", "*", 200, `"3"`},
		{"PUT", "If-Match", "", 400, ""},
		{"PUT", "", "", 200, `"4"`},
		{"DELETE", "If-Match", `"3"`, 412, ""},
		{"GET", "If-None-Match", `"3"`, 200, `"4"`},
		{"DELETE", "If-Match", `"4"`, 204, ""},
		{"DELETE", "If-Match", `"4"`, 404, ""},
		{"PUT", "If-Match", "*", 404, ""},
	} {
		body := ""
		if step.method == "PUT" {
			body = `{"name":"Ada"}`
		}
		var headers []string
		if step.header != "" {
			headers = []string{step.header, step.tags}
		}
		got := b.send(t, step.method, ada, body, headers...)
		if got.status != step.status || got.header.Get("ETag") != step.etag {
			t.Errorf("%s with %s %s: got %d, ETag %s; want %d, %s", step.method, step.header, step.tags, got.status, got.header.Get("ETag"), step.status, step.etag)
		}
		if got.status == 304 && got.body != "" {
			t.Errorf("304 with a body: %s", got.body)
		}
	}
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const grace, alan = `{"name":"Grace","email":"grace@example.com"}`, `{"name":"Alan","email":"alan@example.com"}`
	post := func(body string, headers ...string) answer {
		return b.send(t, "POST", "/api/v1/users/", body, headers...)
	}

	first := post(grace, "Idempotency-Key", "k1")
	if first.status != 201 || first.header.Get("Idempotency-Replayed") != "" || first.header.Get("ETag") != `"1"` {
		t.Fatalf("got %d %v %s, want 201, not replayed, with ETag", first.status, first.header, first.body)
	}
	path := first.header.Get("Location")
	same := func(when string) {
		t.Helper()
		got := post(" "+grace, "Idempotency-Key", "k1")
		if got.status != 201 || got.body != first.body || got.header.Get("Location") != path ||
			got.header.Get("ETag") != `"1"` || got.header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("%s: got %d %v %s, want the first answer replayed", when, got.status, got.header, got.body)
		}
	}
	same("again")
	b.send(t, "PUT", path, `{"name":"Hopper"}`)
	same("after an update")
	b.send(t, "DELETE", path, "")
	same("after a delete")

	for _, test := range []struct {
		what, body string
		headers    []string
		status     int
	}{
		{"another body", alan, []string{"Idempotency-Key", "k1"}, 422},
		{"another spelling of the address", strings.Replace(grace, "grace@", "GRACE@", 1), []string{"Idempotency-Key", "k1"}, 422},
		{"the longest key", alan, []string{"Idempotency-Key", strings.Repeat("k", 255)}, 201},
		{"too long a key", alan, []string{"Idempotency-Key", strings.Repeat("k", 256)}, 400},
		{"an empty key", alan, []string{"Idempotency-Key", ""}, 400},
		{"a taken address", `{"name":"n","email":"ada@example.com"}`, []string{"Idempotency-Key", "k2"}, 409},
		{"a taken address, another body", grace, []string{"Idempotency-Key", "k2"}, 422},
		{"no key", grace, nil, 201},
	} {
		if got := post(test.body, test.headers...); got.status != test.status || got.header.Get("Idempotency-Replayed") != "" {
			t.Errorf("%s: got %d %v %s, want %d, not replayed", test.what, got.status, got.header, got.body, test.status)
		}
	}
}

func TestByEmail(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for query, want := range map[string]string{
		"?email=ada@example.com":     "[" + adaJSON + "]",
		"?email=ADA%40example.com":   "[" + adaJSON + "]",
		"?email=nobody@example.com":  "[]",
		"?email=a%2Bb%40example.com": "[]",
	} {
		if got := b.send(t, "GET", "/api/v1/users/"+query, ""); got.status != 200 || got.body != want {
			t.Errorf("%s: got %d %s, want 200 %s", query, got.status, got.body, want)
		}
	}
}
