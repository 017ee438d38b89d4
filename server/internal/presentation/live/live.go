// Package live is the page on the admin port that shows at a glance how the server
// is. It is made of what Prometheus is told, so that both always say the same.
package live

import (
	"bytes"
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// watched is how often it looks while somebody has the page open.
	watched = 500 * time.Millisecond
	// unwatched is how often otherwise, for the charts and for when a fault began.
	unwatched = 2 * time.Second
	// maxWatchers bounds what pages that were left open cost.
	maxWatchers = 64
	// writeTimeout is how long a watcher may take for what it is sent.
	writeTimeout = 10 * time.Second
)

// Page is the page, with the last minutes of what it shows.
type Page struct {
	gatherer prometheus.Gatherer
	now      func() time.Time

	mu       sync.Mutex
	history  history
	watchers int
	latest   *update
	news     chan struct{} // somebody has come to watch, or there is something to see
}

// update is what watchers are sent.
type update struct {
	event []byte
	next  chan struct{} // closed when there is a newer one
}

// New returns a Page that has seen nothing yet.
func New(gatherer prometheus.Gatherer, now func() time.Time) *Page {
	return &Page{gatherer: gatherer, now: now, news: make(chan struct{}, 1), latest: &update{next: make(chan struct{})}}
}

// Run looks again and again, until ctx is done.
func (p *Page) Run(ctx context.Context) {
	for {
		pause := unwatched
		if p.look() {
			pause = watched
		}
		select {
		case <-time.After(pause):
		case <-p.news:
		case <-ctx.Done():
			return
		}
	}
}

// LookSoon has Run look before it is time to.
func (p *Page) LookSoon() {
	select {
	case p.news <- struct{}{}:
	default: // it is about to
	}
}

// look takes in what the metrics say now, and tells it to those who watch.
func (p *Page) look() (watched bool) {
	families, _ := p.gatherer.Gather() // what cannot be told is missing, there as here
	p.mu.Lock()
	defer p.mu.Unlock()
	p.history.add(read(families, p.now()))
	if p.watchers == 0 {
		return false
	}
	newer := &update{event: event(p.history.view()), next: make(chan struct{})}
	close(p.latest.next)
	p.latest = newer
	return true
}

// event is an event of a stream: the page's main part, and its build as the id.
func event(v view) []byte {
	var html, out bytes.Buffer
	if err := page.ExecuteTemplate(&html, "main", v); err != nil {
		return nil // TestPage executes all of the template
	}
	out.WriteString("id: " + Build + "\n")
	for line := range bytes.Lines(html.Bytes()) {
		out.WriteString("data: ")
		out.Write(bytes.TrimRight(line, "\n"))
		out.WriteByte('\n')
	}
	out.WriteByte('\n')
	return out.Bytes()
}

// ServePage answers with the whole page, as it is now.
func (p *Page) ServePage(w http.ResponseWriter, _ *http.Request) {
	p.look()
	p.mu.Lock()
	v := p.history.view()
	p.mu.Unlock()
	var out bytes.Buffer
	if err := page.ExecuteTemplate(&out, "page", v); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", Policy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(out.Bytes()) // a client that has left needs none
}

// ServeEvents sends the page's main part whenever there is a newer one. Who is slow
// gets fewer of them.
func (p *Page) ServeEvents(w http.ResponseWriter, r *http.Request) {
	u := p.enter()
	if u == nil {
		http.Error(w, "too many have this page open", http.StatusServiceUnavailable)
		return
	}
	defer p.leave()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	stream := http.NewResponseController(w)
	for {
		if err := stream.Flush(); err != nil { // the headers, before there is an event
			return
		}
		select {
		case <-u.next:
		case <-r.Context().Done():
			return
		}
		p.mu.Lock()
		u = p.latest
		p.mu.Unlock()
		_ = stream.SetWriteDeadline(time.Now().Add(writeTimeout)) // it writes in vain then
		if _, err := w.Write(u.event); err != nil {
			return
		}
	}
}

// enter returns the latest update, for who comes to watch; nil if too many do.
func (p *Page) enter() *update {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.watchers == maxWatchers {
		return nil
	}
	p.watchers++
	p.LookSoon()
	return p.latest
}

func (p *Page) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watchers--
}
