// Package admin answers those who operate the server, on a port of their own and in
// a process of its own: it answers when no worker does.
package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/http/pprof"
	"net/url"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/live"
)

// scrapeTimeout bounds a scrape, which reads memory only.
const scrapeTimeout = 5 * time.Second

// Server is the server as it is now.
type Server interface {
	Workers() int
	// Phase is what a worker does: serving, or another word.
	Phase(worker int) string
	// PprofPort is where on loopback a worker can be looked into; 0 for nowhere.
	PprofPort(worker int) int
	// Unserved names the shards that nobody serves.
	Unserved() []string
	ShardCount() int
}

// New returns the handler of the admin port.
func New(gatherer prometheus.Gatherer, server Server, page *live.Page) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{Timeout: scrapeTimeout}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		status, body := readiness(server)
		answer(w, status, body)
	})
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.Handle("GET /workers/{worker}/debug/pprof/", worker(server))
	mux.HandleFunc("GET /{$}", page.ServePage)
	mux.HandleFunc("GET /events", page.ServeEvents)
	return mux
}

type readyJSON struct {
	Status   string   `json:"status"`
	Workers  []string `json:"workers"`            // what each does
	Unserved []string `json:"unserved,omitempty"` // the shards that nobody serves
}

// readiness: the server is ready as long as a worker serves and a shard is there.
func readiness(server Server) (status int, body readyJSON) {
	serving := 0
	for i := range server.Workers() {
		phase := server.Phase(i)
		if phase == "serving" {
			serving++
		}
		body.Workers = append(body.Workers, phase)
	}
	body.Unserved = server.Unserved()
	switch {
	case serving == 0, len(body.Unserved) == server.ShardCount():
		body.Status = "unavailable"
		return http.StatusServiceUnavailable, body
	case serving < server.Workers(), len(body.Unserved) > 0:
		body.Status = "degraded"
	default:
		body.Status = "ok"
	}
	return http.StatusOK, body
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that has left needs none
}

// worker passes on what is asked of a worker's pprof.
func worker(server Server) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i, err := strconv.Atoi(r.PathValue("worker"))
		if err != nil || i < 0 || i >= server.Workers() {
			http.Error(w, fmt.Sprintf("there are workers 0 to %d", server.Workers()-1), http.StatusNotFound)
			return
		}
		port := server.PprofPort(i)
		if port == 0 {
			http.Error(w, fmt.Sprintf("worker %d is not there now", i), http.StatusServiceUnavailable)
			return
		}
		proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", port)})
		http.StripPrefix(fmt.Sprintf("/workers/%d", i), proxy).ServeHTTP(w, r)
	})
}
