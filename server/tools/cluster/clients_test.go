package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/messenger-clone/messenger-clone-api/server/internal/bootstrap"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/freshness"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/metrics"
)

// busy is how long a write may take on a machine that is busy, where everything
// takes longer, what is proved too.
const busy = 20 * time.Second

// clients create, change and read users through an API of their own.
type clients struct {
	url      string
	end      context.CancelFunc
	requests sync.WaitGroup
	served   chan error

	mu      sync.Mutex
	done    int
	failed  int
	first   string
	longest time.Duration
	names   map[string]string // what was acknowledged last
}

func startClients(t *testing.T, c *cluster, count int) *clients {
	t.Helper()
	cfg := c.cfg
	cfg.RequestTimeout = busy
	table, err := freshness.CreatePrivate(len(cfg.Shards), cfg.RequestTimeout)
	if err != nil {
		t.Fatal(err)
	}
	counts, err := metrics.CreatePrivate(len(cfg.Shards))
	if err != nil {
		t.Fatal(err)
	}
	api, err := bootstrap.NewApplication(cfg, table, nil, counts.Worker(0), slog.New(slog.NewJSONHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})))
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	l := &clients{url: "http://" + ln.Addr().String() + "/api/v1/users/", end: end, served: make(chan error, 1), names: make(map[string]string)}
	serving, stop := context.WithCancel(context.Background())
	started := make(chan struct{})
	go func() { l.served <- api.Serve(serving, ln, func() { close(started) }) }()
	<-started
	t.Cleanup(func() {
		end()
		l.requests.Wait()
		stop()
		if err := errors.Join(<-l.served, api.Close(), table.Close(), counts.Close()); err != nil {
			t.Error(err)
		}
	})
	for n := range count {
		l.requests.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				l.live(ctx, fmt.Sprintf("u%d-%d-%d@example.com", time.Now().UnixNano(), n, i))
			}
		})
	}
	return l
}

// live creates a user, renames it and reads it after each acknowledgement.
func (l *clients) live(ctx context.Context, email string) {
	u, ok := l.send(http.MethodPost, "", fmt.Sprintf(`{"name":"0","email":%q}`, email), http.StatusCreated)
	for i := 1; ok && i <= 3; i++ {
		l.acknowledged(u)
		var got person
		if got, ok = l.send(http.MethodGet, u.ID, "", http.StatusOK); ok && got != u {
			l.fail(fmt.Sprintf("GET %s: %+v, and %+v was acknowledged", u.ID, got, u))
		}
		if ctx.Err() != nil {
			return
		}
		if ok {
			u, ok = l.send(http.MethodPut, u.ID, fmt.Sprintf(`{"name":"%d"}`, i), http.StatusOK)
		}
	}
	if ok {
		l.acknowledged(u)
	}
}

type person struct {
	ID, Name, Email string
	CreatedAt       string `json:"created_at"`
	UpdatedAt       string `json:"updated_at"`
}

func (l *clients) send(method, path, body string, want int) (u person, ok bool) {
	began := time.Now()
	status, text, _, err := l.exchange(method, path, body)
	if err == nil && status == want {
		err = json.Unmarshal(text, &u)
	}
	l.mu.Lock()
	l.done++
	l.longest = max(l.longest, time.Since(began))
	l.mu.Unlock()
	if err != nil || status != want {
		l.fail(fmt.Sprintf("%s %s: %d %s %v", method, path, status, text, err))
		return u, false
	}
	return u, true
}

func (l *clients) exchange(method, path, body string) (status int, text []byte, servedBy string, err error) {
	request, err := http.NewRequestWithContext(context.Background(), method, l.url+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return 0, nil, "", err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, "", err
	}
	defer response.Body.Close()
	text, err = io.ReadAll(response.Body)
	return response.StatusCode, text, response.Header.Get("X-Served-By"), err
}

func (l *clients) fail(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed++; l.first == "" {
		l.first = what
	}
}

func (l *clients) acknowledged(u person) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.names[u.ID] = u.Name
}

// await returns after so many more requests.
func (l *clients) await(t *testing.T, more int) {
	t.Helper()
	l.mu.Lock()
	from := l.done
	l.mu.Unlock()
	eventually(t, fmt.Sprintf("%d more requests", more), func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.done < from+more {
			return fmt.Errorf("%d of them", l.done-from)
		}
		return nil
	})
}

// awaitReplica returns when reads are answered by a replica.
func (l *clients) awaitReplica(t *testing.T) {
	t.Helper()
	eventually(t, "a replica serves", func() error {
		status, text, by, err := l.exchange(http.MethodGet, "?limit=1", "")
		if err != nil || status != http.StatusOK || !strings.HasSuffix(by, "/replica") {
			return fmt.Errorf("served by %q: %d %s %w", by, status, text, err)
		}
		return nil
	})
}

// stop ends the load.
func (l *clients) stop() {
	l.end()
	l.requests.Wait()
}

// wantKept compares what was acknowledged with what both servers have.
func wantKept(t *testing.T, c *cluster, l *clients) {
	t.Helper()
	for _, i := range c.instances() {
		eventually(t, i.name+" has everything", func() error {
			stored := names(t, c, i)
			for id, name := range l.names { // the load has ended
				if stored[id] != name {
					return fmt.Errorf("%s is %q, and %q was acknowledged", id, stored[id], name)
				}
			}
			return nil
		})
	}
}

func names(t *testing.T, c *cluster, i instance) map[string]string {
	t.Helper()
	conn, err := c.connectAs(t.Context(), i.addr, c.cfg.Shards[0].Database, "postgres", c.env["POSTGRES_PASSWORD"])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	rows, err := conn.Query(t.Context(), "SELECT id::text, name FROM users")
	if err != nil {
		t.Fatal(err)
	}
	stored := make(map[string]string)
	var id, name string
	if _, err := pgx.ForEachRow(rows, []any{&id, &name}, func() error { stored[id] = name; return nil }); err != nil {
		t.Fatal(err)
	}
	return stored
}
