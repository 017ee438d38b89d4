package routes

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/metrics"
)

// observed keeps what it is told last.
type observed struct {
	method, route string
	status, times int
}

func (o *observed) Answered(method, route string, status int, _ time.Duration) {
	o.method, o.route, o.status = method, route, status
	o.times++
}

// TestEveryRequestIsObservedOnce, however it is answered, by the pattern of its route.
func TestEveryRequestIsObservedOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, test := range []struct {
		method, path, route string
		status              int
	}{
		{"GET", "/api/v1/users/" + adaID.String(), "/api/v1/users/:id", 200},
		{"GET", "/api/v1/users/" + adaID.String() + "/", "/api/v1/users/:id", 200},
		{"HEAD", "/api/v1/users/" + adaID.String(), "/api/v1/users/:id", 200},
		{"GET", "/api/v1/users/42", "/api/v1/users/:id", 400},
		{"GET", "/nowhere", "", 404},
		{"PATCH", "/api/v1/users", "", 405},
		{"OPTIONS", "/api/v1/users", "", 204},
		{"BREW", "/api/v1/users", "", 501},
	} {
		before := b.observed.times
		b.send(t, test.method, test.path, "")
		want := observed{test.method, test.route, test.status, before + 1}
		if test.status == 501 {
			want.method = b.observed.method // whatever Fiber makes of it
		}
		if *b.observed != want {
			t.Errorf("%s %s: got %+v, want %+v", test.method, test.path, *b.observed, want)
		}
	}
}

// TestMetricsKnowEveryRoute, and every status that the document has.
func TestMetricsKnowEveryRoute(t *testing.T) {
	t.Parallel()
	for _, r := range setup(t).app.GetRoutes(true) {
		if !slices.Contains(metrics.Routes, r.Path) {
			t.Errorf("metrics.Routes lacks %s", r.Path)
		}
	}
	for path, item := range openAPI(t).Paths.Map() {
		for method, operation := range item.Operations() {
			for status := range operation.Responses.Map() {
				if n, err := strconv.Atoi(status); err == nil && !slices.Contains(metrics.Statuses, n) {
					t.Errorf("metrics.Statuses lacks %s %s's %s", method, path, status)
				}
			}
		}
	}
}
