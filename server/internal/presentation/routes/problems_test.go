package routes

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/problems"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestProblems compares every kind of failure with a golden file: clients rely
// on these bodies.
func TestProblems(t *testing.T) {
	t.Parallel()
	const users, ada = "/api/v1/users/", "/api/v1/users/01939f2e-7c1a-7bd2-8f0e-3f5b6c7d8e9f"
	for _, test := range []struct {
		name               string
		method, path, body string
		headers            []string
		fail               error
		status             int
	}{
		{name: "route_unknown", method: "GET", path: "/nope", status: 404},
		{name: "case_of_path", method: "GET", path: "/API/V1/users", status: 404},
		{name: "method_not_allowed", method: "PATCH", path: users, status: 405},
		{name: "method_unknown", method: "BREW", path: users, status: 501},
		{name: "id_malformed", method: "GET", path: users + "42", status: 400},
		{name: "id_in_braces", method: "GET", path: users + "%7B01939f2e-7c1a-7bd2-8f0e-3f5b6c7d8e9f%7D", status: 400},
		{name: "id_absent", method: "GET", path: users + "00000000-0000-0000-0000-000000000000", status: 404},
		{name: "query_bounds", method: "GET", path: users + "?limit=101&offset=-1", status: 400},
		{name: "query_offset_cap", method: "GET", path: users + "?offset=10001", status: 400},
		{name: "cursor_malformed", method: "GET", path: users + "?cursor=", status: 400},
		{name: "cursor_and_offset", method: "GET", path: users + "?offset=0&cursor=AQ", status: 400},
		{name: "query_words", method: "GET", path: users + "?limit=ten&offset=", status: 400},
		{name: "query_unknown", method: "GET", path: users + "?limt=5", status: 400},
		{name: "query_twice", method: "GET", path: users + "?limit=5&limit=6", status: 400},
		{name: "query_huge", method: "GET", path: users + "?offset=99999999999999999999", status: 400},
		{name: "body_empty", method: "POST", path: users, headers: []string{"Content-Type", "application/json"}, status: 400},
		{name: "body_no_json", method: "POST", path: users, body: `{"name":`, status: 400},
		{name: "body_trailing", method: "POST", path: users, body: `{"name":"a","email":"a@b.c"} x`, status: 400},
		{name: "body_array", method: "POST", path: users, body: `[]`, status: 400},
		{name: "body_null", method: "POST", path: users, body: `null`, status: 400},
		{name: "body_control_character", method: "POST", path: users, body: "{\"name\":\"a\x01\",\"email\":\"a@b.c\"}", status: 400},
		{name: "body_bad_utf8", method: "POST", path: users, body: "{\"name\":\"a\xff\",\"email\":\"a@b.c\"}", status: 400},
		{name: "body_deep", method: "POST", path: users, body: `{"name":` + strings.Repeat("[", 500) + strings.Repeat("]", 500) + `}`, status: 400},
		{name: "fields_missing", method: "POST", path: users, body: `{}`, status: 400},
		{name: "fields_wrong_types", method: "POST", path: users, body: `{"name":1,"email":{"a":null}}`, status: 400},
		{name: "fields_null", method: "PUT", path: ada, body: `{"name":null}`, status: 400},
		{name: "fields_unknown", method: "POST", path: users, body: `{"name":"a","email":"a@b.c","id":"x","Name":"b"}`, status: 400},
		{name: "fields_twice", method: "POST", path: users, body: `{"name":"a","email":"a@b.c","n\u0061me":"b","x":{"name":1},"x":2}`, status: 400},
		{name: "fields_other_case", method: "POST", path: users, body: `{"name":"a","NAME":"b","email":"a@b.c"}`, status: 400},
		{name: "fields_lone_surrogate", method: "POST", path: users, body: `{"name":"a\ud800","email":"a@b.c"}`, status: 400},
		{name: "fields_bidi", method: "PUT", path: ada, body: "{\"name\":\"a\u202eb\"}", status: 400},
		{name: "query_where_none_is", method: "PUT", path: ada + "?name=Grace", body: `{"name":"a"}`, status: 400},
		{name: "if_none_match_on_write", method: "PUT", path: ada, body: `{"name":"a"}`, headers: []string{"If-None-Match", "*"}, status: 400},
		{name: "contended", method: "GET", path: ada, status: 503, fail: &entities.Error{Kind: entities.Contended, Message: "others keep changing this user or address"}},
		{name: "fields_nul", method: "POST", path: users, body: `{"name":"a\u0000b","email":"a\u0000@b.c"}`, status: 400},
		{name: "fields_bounds", method: "POST", path: users, body: fmt.Sprintf(`{"name":"%0101d","email":"nobody"}`, 0), status: 400},
		{name: "put_nothing", method: "PUT", path: ada, body: `{}`, status: 400},
		{name: "email_taken", method: "POST", path: users, body: `{"name":"a","email":"ADA@example.com"}`, status: 409},
		{name: "email_malformed", method: "GET", path: users + "?email=nobody", status: 400},
		{name: "email_and_page", method: "GET", path: users + "?email=ada@example.com&limit=5", status: 400},
		{name: "if_match_failed", method: "PUT", path: ada, body: `{"name":"a"}`, headers: []string{"If-Match", `"2"`}, status: 412},
		{name: "if_match_malformed", method: "DELETE", path: ada, headers: []string{"If-Match", "1"}, status: 400},
		{name: "idempotency_key_malformed", method: "POST", path: users, body: `{"name":"","email":"a@b.c"}`, headers: []string{"Idempotency-Key", "a b"}, status: 400},
		{name: "outcome_unknown", method: "GET", path: ada, status: 503, fail: &entities.Error{
			Kind: entities.OutcomeUnknown, Message: "shard-3 did not answer after it was told to write", Shards: []string{"shard-3"}, Err: errors.New("secret"),
		}},
		{name: "content_type", method: "POST", path: users, body: `name=a`, headers: []string{"Content-Type", "application/x-www-form-urlencoded"}, status: 415},
		{name: "charset", method: "POST", path: users, body: `{}`, headers: []string{"Content-Type", "application/json; charset=latin1"}, status: 415},
		{name: "compressed", method: "POST", path: users, body: `{}`, headers: []string{"Content-Encoding", "gzip"}, status: 415},
		{name: "shard_down", method: "GET", path: ada, status: 503, fail: &entities.Error{
			Kind: entities.Unavailable, Message: "shard-3 does not answer", Shards: []string{"shard-3"}, Err: errors.New("dial tcp 10.0.0.1: secret"),
		}},
		{name: "deadline", method: "GET", path: ada, status: 503, fail: fmt.Errorf("wait: %w", context.DeadlineExceeded)},
		{name: "fault_of_ours", method: "GET", path: ada, status: 500, fail: errors.New(`ERROR: column "secret" does not exist`)},
		{name: "internal_kind", method: "GET", path: ada, status: 500, fail: &entities.Error{Message: "secret", Err: errors.New("secret")}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			if test.fail != nil {
				b.storage.fail = func(context.Context) error { return test.fail }
			}
			got := b.send(t, test.method, test.path, test.body, test.headers...)
			if got.status != test.status || got.header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("got %d %s, want %d application/problem+json", got.status, got.header.Get("Content-Type"), test.status)
			}
			var body problems.Body
			if err := json.Unmarshal([]byte(got.body), &body); err != nil {
				t.Fatal(err)
			}
			typ := problems.Find(strings.TrimPrefix(body.Type, problems.Path))
			if typ == nil || typ.Status != got.status || body.Status != got.status || body.Title != typ.Title {
				t.Errorf("got %s, want a type that is explained, and its status and title", got.body)
			}
			if strings.Contains(got.body, "secret") {
				t.Errorf("the answer tells a secret: %s", got.body)
			}
			golden(t, test.name, got.body+"\n")
		})
	}
}

// TestAllow compares what a 405 and OPTIONS say of a path.
func TestAllow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for path, want := range map[string]string{
		"/api/v1/users/":                     "GET, HEAD, POST, OPTIONS",
		"/api/v1/users":                      "GET, HEAD, POST, OPTIONS",
		"/api/v1/users/" + b.ada.ID.String(): "GET, HEAD, PUT, DELETE, OPTIONS",
		"/health":                            "GET, HEAD, OPTIONS",
	} {
		for method, status := range map[string]int{"PATCH": 405, "TRACE": 405, "OPTIONS": 204} {
			got := b.send(t, method, path, "")
			if got.status != status || got.header.Get("Allow") != want {
				t.Errorf("%s %s: got %d, Allow %q; want %d, %q", method, path, got.status, got.header.Get("Allow"), status, want)
			}
			if method == "OPTIONS" && (got.body != "" || got.header.Get("Content-Type") != "") {
				t.Errorf("OPTIONS %s: got %v %s, want nothing", path, got.header, got.body)
			}
		}
	}
	if got := b.send(t, "OPTIONS", "/nope", ""); got.status != 404 {
		t.Errorf("OPTIONS /nope: got %d %s, want 404", got.status, got.body)
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got  %swant %s", got, want)
	}
}
