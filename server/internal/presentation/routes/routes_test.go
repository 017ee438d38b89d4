package routes

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/google/uuid"

	"github.com/messenger-clone/messenger-clone-api/server/internal/application/services"
	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/repositories/repositoriestest"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/requestlog"
	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/contract/contracttest"
	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/handlers"
)

// storage is the fake with a way to break it, and shards with a state.
type storage struct {
	*repositoriestest.Fake
	fail   func(ctx context.Context) error // instead of reading a user
	shards []entities.ShardHealth
	// missing, if set, says what answers from all shards lack, or why there are none.
	missing func(ctx context.Context) ([]string, error)
}

func (s *storage) ByID(ctx context.Context, id uuid.UUID) (entities.User, error) {
	if s.fail != nil {
		return entities.User{}, s.fail(ctx)
	}
	requestlog.From(ctx).Shard("shard-3")
	return s.Fake.ByID(ctx, id)
}

func (s *storage) ListAcross(ctx context.Context, p entities.Page) (entities.List, error) {
	list, err := s.Fake.ListAcross(ctx, p)
	if s.missing != nil {
		list.Missing, err = s.missing(ctx)
	}
	return list, err
}

func (s *storage) CountPerShard(ctx context.Context) (entities.ShardCounts, error) {
	counts, err := s.Fake.CountPerShard(ctx)
	if s.missing != nil {
		counts.Missing, err = s.missing(ctx)
	}
	return counts, err
}

func (s *storage) Probe(context.Context, time.Duration) []entities.ShardHealth { return s.shards }

// unshared is a board of a process that is alone.
type unshared struct{}

func (unshared) Counts() (counts entities.ShardCounts, age time.Duration, ok bool) {
	return counts, 0, false
}
func (unshared) KeepCounts(entities.ShardCounts) {}
func (unshared) MayCount(time.Duration) bool     { return true }
func (unshared) HasFailed()                      {}

// bundle is an application over a storage, and what it logged.
type bundle struct {
	app      *fiber.App
	storage  *storage
	draining *atomic.Bool
	log      *bytes.Buffer
	observed *observed
	ada      entities.User
}

// clock is when everything in these tests happens.
func clock() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 120000000, time.UTC) }

var adaID = uuid.MustParse("01939f2e-7c1a-7bd2-8f0e-3f5b6c7d8e9f")

// setup returns an application that knows one user, Ada, and allows the origins.
func setup(t testing.TB, origins ...string) *bundle {
	t.Helper()
	return setupWith(t, func(cfg *Config) { cfg.AllowOrigins = origins })
}

// setupWith is setup with other settings.
func setupWith(t testing.TB, set func(*Config)) *bundle {
	t.Helper()
	ok := entities.ServerHealth{Status: entities.StatusOK}
	lag := int64(0)
	b := &bundle{
		storage: &storage{Fake: repositoriestest.NewFake(), shards: []entities.ShardHealth{{
			Shard: "shard-0", Primary: ok, Replica: &ok, Lag: &lag,
			Slot: &entities.SlotHealth{WALStatus: "reserved", Active: true},
		}}},
		draining: new(atomic.Bool),
		log:      new(bytes.Buffer),
		observed: new(observed),
		ada:      entities.User{ID: adaID, Name: "Ada", Email: "ada@example.com", CreatedAt: clock(), UpdatedAt: clock(), Version: 1},
	}
	if err := b.storage.Create(t.Context(), b.ada); err != nil {
		t.Fatal(err)
	}
	users := services.NewUsers(b.storage, b.storage.NewID, clock, time.Hour)
	shards := services.NewShards(b.storage, b.storage, unshared{}, services.SharedAnswers{
		MaxAge: time.Second, CountTimeout: time.Second, ProbeTimeout: time.Second,
	}, clock)
	cfg := Config{
		RequestTimeout: 5 * time.Second, // on a busy machine, too
		BodyLimit:      1 << 10,
		Log:            slog.New(slog.NewJSONHandler(b.log, nil)),
		Draining:       b.draining,
		Observer:       b.observed,
	}
	set(&cfg)
	b.app = New(cfg, handlers.NewUsers(users, handlers.NewCursors([]byte("key of these tests"))), handlers.NewShards(shards, b.draining))
	return b
}

type answer struct {
	status int
	header http.Header
	body   string
	close  bool // Connection: close
}

// sentID is the request id of what send sends.
const sentID = "5f0c9c1e-6a2b-4c8d-9e3f-7a1b2c3d4e5f"

// send sends a request with a fixed request id, and a body as JSON if there is one.
func (b *bundle) send(t testing.TB, method, path, body string, headers ...string) answer {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	req.Header.Set("X-Request-ID", sentID)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := b.app.Test(req, fiber.TestConfig{Timeout: 0})
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	contracttest.Check(t, req, res, text)
	return answer{res.StatusCode, res.Header, string(text), res.Close}
}

const adaJSON = `{"id":"01939f2e-7c1a-7bd2-8f0e-3f5b6c7d8e9f","name":"Ada","email":"ada@example.com",` +
	`"created_at":"2026-11-21T12:00:00.120000Z","updated_at":"2026-11-21T12:00:00.120000Z"}`

func TestAnswers(t *testing.T) {
	t.Parallel()
	const ada = "/api/v1/users/01939f2e-7c1a-7bd2-8f0e-3f5b6c7d8e9f"
	for _, test := range []struct {
		method, path, body string
		status             int
		want               string // the body, "" for any
	}{
		{"GET", "/livez", "", 200, `{"status":"ok"}`},
		{"GET", "/readyz", "", 200, `{"status":"ok"}`},
		{"GET", "/health/", "", 200, `{"status":"ok","shards":[{"shard_name":"shard-0","status":"ok","primary":{"status":"ok"},` +
			`"replica":{"status":"ok","lag_bytes":0},"slot":{"wal_status":"reserved","active":true}}],"checked_at":"2026-11-21T12:00:00.120000Z"}`},
		{"GET", "/api/v1/shards/stats", "", 200, `{"total_users":1,"shard_count":1,"shards":[{"shard_name":"shard-0","user_count":1}],` +
			`"counted_at":"2026-11-21T12:00:00.120000Z","max_age_ms":1000}`},
		{"GET", ada, "", 200, adaJSON},
		{"GET", ada + "/", "", 200, adaJSON},
		{"GET", "/api/v1/users/01939F2E-7C1A-7BD2-8F0E-3F5B6C7D8E9F", "", 200, adaJSON},
		{"HEAD", ada, "", 200, ""},
		{"GET", "/api/v1/users", "", 200, "[" + adaJSON + "]"},
		{"GET", "/api/v1/users/?limit=1&offset=1", "", 200, "[]"},
		{"HEAD", "/api/v1/users/", "", 200, ""},
		{"PUT", ada, `{"name":"  Augusta "}`, 200, strings.Replace(adaJSON, `"Ada"`, `"Augusta"`, 1)},
		{"PUT", ada + "/", `{"email":"Augusta@example.com"}`, 200, strings.Replace(adaJSON, "ada@", "Augusta@", 1)},
		{"POST", "/api/v1/users", `{"name":"Grace","email":"grace@example.com"}`, 201, ""},
		{"POST", "/api/v1/users/", `{"email":"grace@example.com","name":"\u674e \ud83d\ude00"}`, 201, ""},
		{"DELETE", ada, "", 204, ""},
	} {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			got := b.send(t, test.method, test.path, test.body)
			if got.status != test.status || test.want != "" && got.body != test.want {
				t.Errorf("got  %d %s\nwant %d %s", got.status, got.body, test.status, test.want)
			}
			if id := got.header.Get("X-Request-ID"); id != sentID {
				t.Errorf("X-Request-ID = %q, want %s", id, sentID)
			}
		})
	}
}

func TestLifeOfAUser(t *testing.T) {
	t.Parallel()
	b := setup(t)
	created := b.send(t, "POST", "/api/v1/users/", `{"name":"Grace","email":"Grace@example.com"}`)
	var user struct{ ID, Name, Email string }
	if err := json.Unmarshal([]byte(created.body), &user); err != nil {
		t.Fatal(err)
	}
	path := "/api/v1/users/" + user.ID
	if created.status != 201 || created.header.Get("Location") != path || user.Email != "Grace@example.com" {
		t.Errorf("got %d %q %s, want 201 with Location %s", created.status, created.header.Get("Location"), created.body, path)
	}
	for _, step := range []struct {
		method, body string
		status       int
	}{
		{"GET", "", 200},
		{"PUT", `{"email":"ADA@example.com"}`, 409},
		{"PUT", `{"email":"GRACE@example.com"}`, 200}, // one's own
		{"DELETE", "", 204},
		{"GET", "", 404},
		{"PUT", `{"name":"G"}`, 404},
		{"DELETE", "", 404},
	} {
		if got := b.send(t, step.method, path, step.body); got.status != step.status {
			t.Errorf("%s %s: got %d %s, want %d", step.method, step.body, got.status, got.body, step.status)
		}
	}
}

func TestDraining(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.draining.Store(true)
	for path, status := range map[string]int{"/readyz": 503, "/livez": 200, "/health": 200, "/api/v1/users": 200} {
		got := b.send(t, "GET", path, "")
		if got.status != status || !got.close {
			t.Errorf("%s: got %d, close %t; want %d, true", path, got.status, got.close, status)
		}
	}
}

// TestDrainingBegins while a request is answered: its client is sent away, too, for
// the connection may be closed when the next would come.
func TestDrainingBegins(t *testing.T) {
	t.Parallel()
	app, draining := fiber.New(), new(atomic.Bool)
	app.Get("/", closing(draining), func(fiber.Ctx) error {
		draining.Store(true)
		return nil
	})
	res, err := app.Test(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody), fiber.TestConfig{Timeout: 0})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if !res.Close {
		t.Error("the answer does not close the connection")
	}
}

func TestReadyWithoutAShard(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.storage.shards = append(b.storage.shards, entities.ShardHealth{
		Shard: "shard-1", Primary: entities.ServerHealth{Status: entities.StatusUnavailable, Fault: "is gone"},
	})
	const want = `{"status":"ok","shards":[{"shard_name":"shard-1","status":"unavailable"}]}`
	if got := b.send(t, "GET", "/readyz", ""); got.status != 200 || got.body != want {
		t.Errorf("got  %d %s\nwant 200 %s", got.status, got.body, want)
	}
}

func TestNoShardServes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.storage.shards = []entities.ShardHealth{{Shard: "shard-0", Primary: entities.ServerHealth{Status: entities.StatusUnavailable, Fault: "is gone"}}}
	want := `{"status":"unavailable","shards":[{"shard_name":"shard-0","status":"unavailable",` +
		`"primary":{"status":"unavailable","error":"is gone"}}],"checked_at":"2026-11-21T12:00:00.120000Z"}`
	if got := b.send(t, "GET", "/health", ""); got.status != 503 || got.body != want {
		t.Errorf("got  %d %s\nwant 503 %s", got.status, got.body, want)
	}
	if got := b.send(t, "GET", "/readyz", ""); got.status != 503 {
		t.Errorf("/readyz: got %d, want 503", got.status)
	}
	if got := b.send(t, "GET", "/livez", ""); got.status != 200 {
		t.Errorf("/livez: got %d, want 200", got.status)
	}
}

func TestDeadlineReachesTheStorage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.storage.fail = func(ctx context.Context) error {
		<-ctx.Done()
		return fmt.Errorf("shard-3: %w", ctx.Err())
	}
	got := b.send(t, "GET", "/api/v1/users/"+adaID.String(), "")
	if got.status != 503 || got.header.Get("Retry-After") == "" {
		t.Errorf("got %d, Retry-After %q, %s; want 503 with Retry-After", got.status, got.header.Get("Retry-After"), got.body)
	}
}

func TestOneLinePerRequest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.storage.fail = nil
	b.send(t, "GET", "/api/v1/users/"+adaID.String(), "")
	b.send(t, "GET", "/api/v1/users/?email=ada@example.com", "")
	b.send(t, "GET", "/nope/ada@example.com", "")
	b.send(t, "POST", "/api/v1/users/", `{"name":"Ada","email":"ada@example.com"}`)
	b.storage.fail = func(context.Context) error { return errors.New("broken pipe") }
	b.send(t, "GET", "/api/v1/users/"+adaID.String(), "")
	b.storage.fail = func(context.Context) error { panic("a bug") }
	b.send(t, "GET", "/api/v1/users/"+adaID.String(), "")

	if strings.Contains(b.log.String(), "ada@") {
		t.Errorf("the log holds an e-mail address:\n%s", b.log)
	}
	type line struct {
		Level, Msg, Method, Route, Shard, Err string
		RequestID                             string `json:"request_id"`
		Status                                int
	}
	want := []line{
		{Level: "INFO", Method: "GET", Route: "/api/v1/users/:id", Status: 200, Shard: "shard-3"},
		{Level: "INFO", Method: "GET", Route: "/api/v1/users", Status: 200},
		{Level: "INFO", Method: "GET", Route: "", Status: 404, Err: "nothing is here"},
		{Level: "INFO", Method: "POST", Route: "/api/v1/users", Status: 409, Err: "taken"},
		{Level: "ERROR", Method: "GET", Route: "/api/v1/users/:id", Status: 500, Err: "broken pipe"},
		{Level: "ERROR", Method: "GET", Route: "/api/v1/users/:id", Status: 500, Err: "panic: a bug"},
	}
	lines := strings.Split(strings.TrimSpace(b.log.String()), "\n")
	if len(lines) != len(want) {
		t.Fatalf("got %d lines, want %d:\n%s", len(lines), len(want), b.log)
	}
	for i, text := range lines {
		var got line
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatal(err)
		}
		w := want[i]
		if !strings.Contains(got.Err, w.Err) || w.Err == "" && got.Err != "" {
			t.Errorf("line %d: err %q, want %q in it", i, got.Err, w.Err)
		}
		got.Err, w.Err, w.Msg, w.RequestID = "", "", "request", sentID
		if got != w {
			t.Errorf("line %d: got  %+v\nwant %+v", i, got, w)
		}
	}
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, test := range []struct {
		id   string
		kept bool
	}{
		{"abc-123", true}, {strings.Repeat("x", 128), true}, {strings.Repeat("x", 129), false}, {"a b", false}, {"ä", false}, {"", false},
	} {
		got := b.send(t, "GET", "/livez", "", "X-Request-ID", test.id).header.Get("X-Request-ID")
		if (got == test.id) != test.kept || got == "" {
			t.Errorf("sent %q, got %q, want it kept: %t", test.id, got, test.kept)
		}
	}
}
