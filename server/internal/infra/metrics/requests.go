package metrics

import (
	"slices"
	"time"
)

const (
	maxRoutes   = 32
	maxStatuses = 40
)

// The words of the requests' labels, which are few and known, so that counting needs
// no map that grows. What is none of them counts as the first. Indices into them are
// in the shared memory: a program whose words are others needs a master of its own.
var (
	methods = [...]string{"other", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"}

	// Routes are the patterns that requests are counted by; "none" is what matched none.
	Routes = []string{
		"none", "/api/v1/users", "/api/v1/users/:id", "/api/v1/shards/stats", "/health", "/livez", "/readyz",
		"/problems", "/problems/:slug", "/openapi.json", "/docs",
	}

	// Statuses are those that requests are counted by.
	Statuses = []int{
		0, 200, 201, 202, 204, 206, 301, 302, 304, 307, 308, 400, 401, 403, 404, 405, 406, 408, 409, 410, 411, 412, 413, 414, 415, 417, 422, 425, 428,
		429, 431, 500, 501, 502, 503, 504, 505,
	}
)

var (
	routeIndex  = make(map[string]uint8, len(Routes))
	statusIndex [600]uint8
)

func init() {
	for i, route := range Routes {
		routeIndex[route] = uint8(i)
	}
	for i, status := range Statuses {
		statusIndex[status] = uint8(i)
	}
}

// Worker counts for one worker.
type Worker struct {
	slot *slot
}

// Worker returns what counts for the worker of a slot.
func (m *Memory) Worker(slot int) *Worker { return &Worker{&m.slots[slot]} }

// Answered counts a request by its route's pattern, before it is answered.
func (w *Worker) Answered(method, route string, status int, took time.Duration) {
	r := routeIndex[route] // 0 for none
	m := max(0, slices.Index(methods[:], method))
	s := uint8(0)
	if status >= 0 && status < len(statusIndex) {
		s = statusIndex[status]
	}
	w.slot.requests[r][m][s].Add(1)
	w.slot.took[r][m].observe(took)
}
