package contracttest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestCheckFindsWhatIsOutside sends answers that differ from a right one in one thing.
func TestCheckFindsWhatIsOutside(t *testing.T) {
	t.Parallel()
	const (
		id   = "01939f2e-7c1a-7bd2-8f0e-3f5b6c7d8e9f"
		user = `{"id":"` + id + `","name":"Ada","email":"ada@example.com","created_at":"2026-11-21T12:00:00.120000Z","updated_at":"2026-11-21T12:00:00.120000Z"}`
		gone = `{"type":"/problems/user-not-found","title":"User not found","status":404,"detail":"no user has this id","instance":"urn:uuid:` + id + `","request_id":"r"}`
	)
	json := []string{"Content-Type", "application/json; charset=utf-8", "ETag", `"1"`}
	problem := []string{"Content-Type", "application/problem+json"}
	for _, test := range []struct {
		name, method, path string
		status             int
		headers            []string
		body               string
		want               string // in the error; "" for none
	}{
		{"right", "GET", "/api/v1/users/" + id, 200, json, user, ""},
		{"right with a slash", "GET", "/api/v1/users/" + id + "/", 200, json, user, ""},
		{"right without a body", "HEAD", "/api/v1/users/" + id, 200, json, "", ""},
		{"right problem", "GET", "/api/v1/users/" + id, 404, problem, gone, ""},
		{"right not modified", "GET", "/api/v1/users/" + id, 304, []string{"ETag", `"1"`}, "", ""},
		{"right options", "OPTIONS", "/api/v1/users/" + id, 204, []string{"Allow", "GET, HEAD, PUT, DELETE, OPTIONS"}, "", ""},
		{"status", "GET", "/api/v1/users/" + id, 202, json, user, "no such status"},
		{"header missing", "GET", "/api/v1/users/" + id, 200, json[:2], user, "ETag is missing"},
		{"header malformed", "GET", "/api/v1/users/" + id, 200, append(json[:2:2], "ETag", "1"), user, "ETag"},
		{"header unknown", "GET", "/api/v1/users/" + id, 200, append(json[:4:4], "X-Powered-By", "us"), user, "X-Powered-By is not in the document"},
		{"body on HEAD", "HEAD", "/api/v1/users/" + id, 200, json, user, "must be empty"},
		{"body on 304", "GET", "/api/v1/users/" + id, 304, []string{"ETag", `"1"`}, user, "must be empty"},
		{"member missing", "GET", "/api/v1/users/" + id, 200, json, `{"id":"` + id + `"}`, "missing properties"},
		{"member unknown", "GET", "/api/v1/users/" + id, 200, json, strings.Replace(user, "{", `{"version":1,`, 1), "version"},
		{"member of a wrong type", "GET", "/api/v1/users/" + id, 200, json, strings.Replace(user, `"Ada"`, "1", 1), "name"},
		{"time without microseconds", "GET", "/api/v1/users/" + id, 200, json, strings.Replace(user, ".120000", "", 1), "created_at"},
		{"no JSON", "GET", "/api/v1/users/" + id, 200, json, "{", "no JSON"},
		{"media", "GET", "/api/v1/users/" + id, 200, append(json[2:4:4], "Content-Type", "text/plain"), user, "text/plain is not in the document"},
		{"problem of another status", "GET", "/api/v1/users/" + id, 409, problem, gone, "no such status"},
		{"problem of another type", "GET", "/api/v1/users/" + id, 404, problem, strings.Replace(gone, "user-not-found", "email-taken", 1), "type"},
		{"problem as JSON", "GET", "/api/v1/users/" + id, 404, json[:2], gone, "application/json is not in the document"},
		{"methods", "PATCH", "/api/v1/users/" + id, 405, append(problem[:2:2], "Allow", "GET"), gone, "Allow must have exactly"},
		{"something where nothing is", "GET", "/nope", 200, json, user, "expected"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			contract, err := Load()
			if err != nil {
				t.Fatal(err)
			}
			res := &http.Response{StatusCode: test.status, Header: http.Header{"X-Request-Id": {"r"}, "X-Content-Type-Options": {"nosniff"}}}
			for i := 0; i < len(test.headers); i += 2 {
				res.Header.Set(test.headers[i], test.headers[i+1])
			}
			err = contract.Check(httptest.NewRequestWithContext(t.Context(), test.method, test.path, nil), res, []byte(test.body))
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}
