package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// clients of the model test work side by side; each has users of its own, so
// that its model alone knows the one right answer to each of its requests.
const clients = 8

// TestModel drives the API with random operations and compares every answer with
// a model in memory, while every replica lags by two seconds: no answer may be
// older than what the client has been told. It also counts who answered, so
// that it cannot pass by asking primaries only.
func TestModel(t *testing.T) { testModel(t, "2s", "/replica") }

// TestModelWithCache is TestModel with the cache, which has to answer, too. The
// replicas lag less: only what they are known to have is cached.
func TestModelWithCache(t *testing.T) { testModel(t, "100ms", "/cache", useCache) }

// testModel counts the reads that were answered by such a server.
func testModel(t *testing.T, lag, server string, settings ...func(config.Config) string) {
	t.Helper()
	checks, steps := 2, 100 // per client: 1,600 operations
	if os.Getenv("TEST_LONG") != "" {
		checks, steps = 65, 100 // 52,000
	}
	for name, value := range map[string]string{
		"rapid.checks": strconv.Itoa(checks), "rapid.steps": strconv.Itoa(steps), "rapid.shrinktime": "0s", "rapid.nofailfile": "true",
	} {
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	cfg := testcluster.Open(t)
	makeReplicasLate(t, cfg, lag)
	var environ []string
	for _, setting := range settings {
		environ = append(environ, setting(cfg))
	}
	s := start(t, environ...)

	first := must[user](t, s, "POST", "/api/v1/users/", createBody("First", "first@example.com"), 201)
	await(t, func() error { // until they take part
		if by := s.servedBy(t, path(first.ID)); !strings.HasSuffix(by, server) {
			return fmt.Errorf("served by %s", by)
		}
		return nil
	})

	var done, served atomic.Int64
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() { // not t.Parallel: that takes turns on few processors
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				// One model over all checks: users that were left alone for a while are the replicas' to answer for.
				m := &model{s: s, prefix: fmt.Sprintf("m%d-", i), users: map[string]*member{}, deleted: map[string]bool{}, keys: map[string]string{}, done: &done, server: server, served: &served}
				rapid.Check(t, func(rt *rapid.T) { rt.Repeat(m.actions()) })
			})
		})
	}
	wg.Wait()
	t.Logf("%d operations, %d reads answered by a %s", done.Load(), served.Load(), server[1:])
	if served.Load() == 0 {
		t.Errorf("no %s answered anything", server[1:])
	}
}

// member is a user as the model knows it.
type member struct {
	user
	etag string
}

// model is one client: what it has been told, and so what must be true.
type model struct {
	s       *server
	prefix  string
	serial  int
	users   map[string]*member // by id
	deleted map[string]bool    // ids
	keys    map[string]string  // Idempotency-Key → the request and the answer it got
	done    *atomic.Int64
	server  string
	served  *atomic.Int64
}

// response is what came back.
type response struct {
	status int
	body   string
	header http.Header
}

func (m *model) send(t *rapid.T, method, path, body string, headers ...string) response {
	m.done.Add(1)
	req, err := http.NewRequest(method, m.s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	// Every so often a connection of its own, so that any worker may answer.
	req.Close = m.done.Load()%4 == 0
	res, err := m.s.client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if method == http.MethodGet && strings.Contains(res.Header.Get("X-Served-By"), m.server) {
		m.served.Add(1)
	}
	return response{res.StatusCode, string(text), res.Header}
}

func (m *model) expect(t *rapid.T, got response, status int, what string) {
	if got.status != status {
		t.Fatalf("%s: got %d %s (by %s), want %d", what, got.status, got.body, got.header.Get("X-Served-By"), status)
	}
}

// learn takes a successful write's answer as the truth from now on.
func (m *model) learn(t *rapid.T, got response) *member {
	u := &member{etag: got.header.Get("ETag")}
	if err := json.Unmarshal([]byte(got.body), &u.user); err != nil {
		t.Fatalf("%s: %v", got.body, err)
	}
	if u.etag == "" {
		t.Fatalf("no ETag with %s", got.body)
	}
	m.users[u.ID] = u
	return u
}

func (m *model) same(t *rapid.T, got response, want *member) {
	var u user
	if err := json.Unmarshal([]byte(got.body), &u); err != nil {
		t.Fatalf("%s: %v", got.body, err)
	}
	if u != want.user || got.header.Get("ETag") != want.etag {
		t.Fatalf("got %+v %s (by %s), want %+v %s", u, got.header.Get("ETag"), got.header.Get("X-Served-By"), want.user, want.etag)
	}
}

func (m *model) freshEmail() string {
	m.serial++
	return fmt.Sprintf("%s%d@example.com", m.prefix, m.serial)
}

// pick draws one of the users there are, or skips the action.
func (m *model) pick(t *rapid.T) *member {
	if len(m.users) == 0 {
		t.Skip("no user yet")
	}
	ids := slices.Sorted(maps.Keys(m.users))
	return m.users[rapid.SampledFrom(ids).Draw(t, "user")]
}

func path(id string) string { return "/api/v1/users/" + id }

func (m *model) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"create":                  m.create,
		"create a taken address":  m.createTaken,
		"create with a key":       m.createWithKey,
		"repeat with a key":       m.repeatWithKey,
		"get":                     m.get,
		"get again":               m.get, // reads are most of what clients do
		"get until settled":       m.getSettled,
		"get by address":          m.getByEmail,
		"get unchanged":           m.getUnchanged,
		"get deleted":             m.getDeleted,
		"rename":                  m.rename,
		"change the address":      m.changeEmail,
		"change to a taken one":   m.changeToTaken,
		"swap addresses":          m.handOver,
		"write a stale version":   m.writeStale,
		"delete":                  m.remove,
		"delete and free address": m.removeAndReuse,
	}
}

func (m *model) create(t *rapid.T) {
	got := m.send(t, "POST", "/api/v1/users/", createBody("Ada", m.freshEmail()))
	m.expect(t, got, 201, "create")
	m.same(t, m.send(t, "GET", path(m.learn(t, got).ID), ""), m.learn(t, got))
}

func (m *model) createTaken(t *rapid.T) {
	taken := strings.ToUpper(m.pick(t).Email)
	m.expect(t, m.send(t, "POST", "/api/v1/users/", createBody("Eve", taken)), 409, "create with "+taken)
}

func (m *model) createWithKey(t *rapid.T) {
	key, body := m.prefix+strconv.Itoa(len(m.keys)), createBody("Keyed", m.freshEmail())
	got := m.send(t, "POST", "/api/v1/users/", body, "Idempotency-Key", key)
	m.expect(t, got, 201, "create with a key")
	m.learn(t, got)
	m.keys[key] = body + "\n" + got.body
}

func (m *model) repeatWithKey(t *rapid.T) {
	if len(m.keys) == 0 {
		t.Skip("no key yet")
	}
	key := rapid.SampledFrom(slices.Sorted(maps.Keys(m.keys))).Draw(t, "key")
	body, answer, _ := strings.Cut(m.keys[key], "\n")
	got := m.send(t, "POST", "/api/v1/users/", body, "Idempotency-Key", key)
	m.expect(t, got, 201, "repeat with a key")
	if got.body != answer || got.header.Get("Idempotency-Replayed") != "true" {
		t.Fatalf("the repetition got %s (Idempotency-Replayed: %s), want %s", got.body, got.header.Get("Idempotency-Replayed"), answer)
	}
	m.expect(t, m.send(t, "POST", "/api/v1/users/", createBody("Other", m.freshEmail()), "Idempotency-Key", key), 422, "another body with a key")
}

func (m *model) get(t *rapid.T) {
	u := m.pick(t)
	got := m.send(t, "GET", path(u.ID), "")
	m.expect(t, got, 200, "get "+u.ID)
	m.same(t, got, u)
}

// getSettled reads until the server answers whose reads are counted, so that
// what follows meets one that has the user's present state.
func (m *model) getSettled(t *rapid.T) {
	for u, tries := m.pick(t), 0; tries < 10; tries++ {
		got := m.send(t, "GET", path(u.ID), "")
		m.expect(t, got, 200, "get until settled "+u.ID)
		m.same(t, got, u)
		if strings.Contains(got.header.Get("X-Served-By"), m.server) {
			return
		}
		<-time.After(50 * time.Millisecond)
	}
}

func (m *model) getByEmail(t *rapid.T) {
	u := m.pick(t)
	got := m.send(t, "GET", "/api/v1/users/?email="+u.Email, "")
	m.expect(t, got, 200, "get by address")
	var list []user
	if err := json.Unmarshal([]byte(got.body), &list); err != nil || len(list) != 1 || list[0] != u.user {
		t.Fatalf("?email=%s: got %s (by %s), want %+v", u.Email, got.body, got.header.Get("X-Served-By"), u.user)
	}
}

func (m *model) getUnchanged(t *rapid.T) {
	u := m.pick(t)
	m.expect(t, m.send(t, "GET", path(u.ID), "", "If-None-Match", u.etag), 304, "get unchanged "+u.ID)
}

func (m *model) getDeleted(t *rapid.T) {
	if len(m.deleted) == 0 {
		t.Skip("none deleted yet")
	}
	id := rapid.SampledFrom(slices.Sorted(maps.Keys(m.deleted))).Draw(t, "deleted")
	m.expect(t, m.send(t, "GET", path(id), ""), 404, "get deleted "+id)
	m.expect(t, m.send(t, "DELETE", path(id), ""), 404, "delete deleted "+id)
}

func (m *model) rename(t *rapid.T) {
	u := m.pick(t)
	name := rapid.StringMatching(`[A-Za-zäß]{1,20}`).Draw(t, "name")
	body, err := json.Marshal(map[string]string{"name": name})
	if err != nil {
		t.Fatal(err)
	}
	got := m.send(t, "PUT", path(u.ID), string(bytes.TrimSpace(body)), "If-Match", u.etag)
	m.expect(t, got, 200, "rename "+u.ID)
	if now := m.learn(t, got); now.Name != name || now.Email != u.Email || now.etag == u.etag {
		t.Fatalf("renamed to %s: got %+v %s, was %+v %s", name, now.user, now.etag, u.user, u.etag)
	}
	m.same(t, m.send(t, "GET", path(u.ID), ""), m.users[u.ID])
}

func (m *model) changeEmail(t *rapid.T) {
	u := m.pick(t)
	old, email := u.Email, m.freshEmail()
	got := m.send(t, "PUT", path(u.ID), fmt.Sprintf(`{"email":%q}`, email))
	m.expect(t, got, 200, "change address")
	if now := m.learn(t, got); now.Email != email || now.Name != u.Name {
		t.Fatalf("changed to %s: got %+v", email, now.user)
	}
	if got := m.send(t, "GET", "/api/v1/users/?email="+old, ""); got.status != 200 || strings.TrimSpace(got.body) != "[]" {
		t.Fatalf("?email=%s, which was given up: got %d %s (by %s), want []", old, got.status, got.body, got.header.Get("X-Served-By"))
	}
}

func (m *model) changeToTaken(t *rapid.T) {
	u, other := m.pick(t), m.pick(t)
	if u == other {
		t.Skip("one user")
	}
	m.expect(t, m.send(t, "PUT", path(u.ID), fmt.Sprintf(`{"email":%q}`, other.Email)), 409, "change to a taken address")
}

// handOver gives one user's address to another, who takes it at once.
func (m *model) handOver(t *rapid.T) {
	u, other := m.pick(t), m.pick(t)
	if u == other {
		t.Skip("one user")
	}
	email := u.Email
	got := m.send(t, "PUT", path(u.ID), fmt.Sprintf(`{"email":%q}`, m.freshEmail()))
	m.expect(t, got, 200, "give an address up")
	m.learn(t, got)
	got = m.send(t, "PUT", path(other.ID), fmt.Sprintf(`{"email":%q}`, email))
	m.expect(t, got, 200, "take the address over")
	m.learn(t, got)
}

func (m *model) writeStale(t *rapid.T) {
	u := m.pick(t)
	m.expect(t, m.send(t, "PUT", path(u.ID), `{"name":"x"}`, "If-Match", `"999999"`), 412, "write a stale version")
	m.expect(t, m.send(t, "DELETE", path(u.ID), "", "If-Match", `"999999"`), 412, "delete a stale version")
}

func (m *model) remove(t *rapid.T) {
	u := m.pick(t)
	m.expect(t, m.send(t, "DELETE", path(u.ID), "", "If-Match", u.etag), 204, "delete "+u.ID)
	delete(m.users, u.ID)
	m.deleted[u.ID] = true
	m.expect(t, m.send(t, "GET", path(u.ID), ""), 404, "get after delete "+u.ID)
}

func (m *model) removeAndReuse(t *rapid.T) {
	u := m.pick(t)
	m.expect(t, m.send(t, "DELETE", path(u.ID), ""), 204, "delete "+u.ID)
	delete(m.users, u.ID)
	m.deleted[u.ID] = true
	got := m.send(t, "POST", "/api/v1/users/", createBody("Again", u.Email))
	m.expect(t, got, 201, "create with the address of a deleted user")
	m.learn(t, got)
}
