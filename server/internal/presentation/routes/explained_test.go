package routes

import (
	"net/http"
	"strings"
	"testing"

	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/problems"
)

// TestTypesAreServed asks for every type's URL, in every form.
func TestTypesAreServed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for accept, want := range map[string]string{
		"":                   "text/html; charset=utf-8",
		"*/*":                "text/html; charset=utf-8",
		"text/html,*/*;q=.8": "text/html; charset=utf-8",
		"application/json":   "application/json; charset=utf-8",
		"text/markdown":      "text/markdown; charset=utf-8",
		"image/png":          "text/html; charset=utf-8",
	} {
		urls := map[string]string{"/problems": "Problems", "/problems/": "Problems"}
		for _, typ := range problems.All() {
			urls[typ.URL()] = typ.Title
		}
		for url, title := range urls {
			got := b.send(t, http.MethodGet, url, "", "Accept", accept)
			if accept == "application/json" && title == "Problems" {
				title = `[{"type":"/problems/`
			}
			if got.status != 200 || got.header.Get("Content-Type") != want || !strings.Contains(got.body, title) || got.header.Get("Vary") != "Accept" {
				t.Errorf("%s, Accept %q: got %d %v %s, want 200 %s with %q", url, accept, got.status, got.header, got.body, want, title)
			}
		}
	}
	if got := b.send(t, http.MethodGet, "/problems/nothing", ""); got.status != 404 || !strings.Contains(got.body, "/problems/not-found") {
		t.Errorf("a type that is none: got %d %s, want a 404 problem", got.status, got.body)
	}
}

// TestInstances tells occurrences apart, also those of one client's id.
func TestInstances(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if got := b.send(t, http.MethodGet, "/nope", ""); !strings.Contains(got.body, `"instance":"urn:uuid:`+sentID+`","request_id":"`+sentID+`"`) {
		t.Errorf("got %s, want the instance to be the request's id", got.body)
	}
	one := b.send(t, http.MethodGet, "/nope", "", "X-Request-ID", "mine").body
	other := b.send(t, http.MethodGet, "/nope", "", "X-Request-ID", "mine").body
	if one == other || !strings.Contains(one, `"request_id":"mine"`) {
		t.Errorf("got %s and %s, want different instances of the request mine", one, other)
	}
	_, rest, _ := strings.Cut(one, `"instance":"urn:uuid:`)
	id, _, _ := strings.Cut(rest, `"`)
	if len(id) != 36 || !strings.Contains(b.log.String(), `"instance":"`+id+`"`) {
		t.Errorf("the log does not know instance %q:\n%s", id, b.log)
	}
}
