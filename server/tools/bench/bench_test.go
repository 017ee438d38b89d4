package main

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// TestBench is the short form of `make bench`: two operations and all that is done for them, or, with TEST_LONG=1, every part of it once.
func TestBench(t *testing.T) {
	havePrograms(t)
	cfg := testcluster.Open(t)
	cfg.Port = 0 // nobody serves there
	var names []string
	for _, s := range cfg.Shards {
		names = append(names, s.Name)
	}
	ring, err := shard.NewRing(names)
	if err != nil {
		t.Fatal(err)
	}
	const users, connections = 2000, 8
	testcluster.Fill(t, cfg, ring.Owner, users)
	b := &bench{
		cfg: cfg, users: users, duration: time.Second, rounds: 1, connections: []int{connections}, many: 200, depth: 500,
		names: []string{"get", "put"},
		// What is slow under the race detector on a busy machine shall not fail. Not longer: for a request's time after
		// its start a server reads from primaries, for fear of what others before it may still write.
		api:  []string{"env", programVariable + "=api", "REQUEST_TIMEOUT=8s", "DB_READ_TIMEOUT=7s", "DB_CONNECT_TIMEOUT=7s", os.Args[0]},
		null: []string{"env", programVariable + "=null", os.Args[0]},
		out:  io.Discard,
	}
	long := os.Getenv("TEST_LONG") != ""
	if long {
		b.names, b.default7 = allNames(), true
	}
	r, err := b.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.failures(); err != nil {
		t.Error(err)
	}

	want := []key{
		{"get", 1, api2},
		{"get", connections, pgbench},
		{"get", connections, null2},
		{"get", connections, api2},
		{"put", connections, pgbench},
		{"put", connections, api2},
	}
	if long {
		want = append(want, []key{
			{"get", connections, api7},
			{"post", connections, pgbench},
			{"post", connections, api2},
			{"post", connections, api7},
			{"list", 1, api2},
			{"list", connections, api2},
			{"deep", 1, api2},
			{"deep", connections, api2},
			{"stats", connections, api2},
			{"get", b.many, api7},
			{getAny, connections, api2},
			{getAny, connections, cached2},
			{getFew, connections, api2},
			{getFew, connections, cached2},
			{steadyAlone, 0, api2},
			{steadyBeside, 0, api2},
			{steadyStats, 0, api2},
		}...)
	}
	text := r.markdown("plot.svg")
	for _, k := range want {
		m, ok := r.of(k)
		if !ok {
			t.Errorf("%+v: nothing was measured", k)
			continue
		}
		if m.answers == 0 || m.rate <= 0 {
			t.Errorf("%+v: got %d answers, %f a second, want some", k, m.answers, m.rate)
		}
		if !strings.Contains(text, "| "+k.operation+" |") {
			t.Errorf("%+v is not in the report", k)
		}
		if k.operation == steadyStats {
			continue // what it costs is in what it runs beside
		}
		if k.subject != null2 && k.subject != cached2 && m.cpu.postgres <= 0 {
			t.Errorf("%+v: PostgreSQL used %f s per 1,000, want some", k, m.cpu.postgres)
		}
		if served := k.subject != pgbench; served && (m.cpu.api <= 0 || m.memory == 0 || m.p50 <= 0 || m.p99 < m.p50) {
			t.Errorf("%+v: got %+v, want CPU, memory and times of the API", k, m)
		}
		if k.operation == "put" && m.cpu.pooler <= 0 {
			t.Errorf("%+v: PgBouncer used %f s per 1,000, want some", k, m.cpu.pooler)
		}
	}
	if svg := r.plot(); strings.Count(svg, "<rect") < 4 {
		t.Errorf("the plot has too few bars: %s", svg)
	}

	for i := range cfg.Shards {
		conn := testcluster.Primary(t, cfg, i)
		if left := testcluster.MustQuery[int](t, conn, "SELECT count(*)::int FROM pg_namespace WHERE nspname = 'bench'")[0]; left != 0 {
			t.Errorf("%s still has pgbench's tables", cfg.Shards[i].Name)
		}
		for _, query := range []string{"SELECT count(*)::int FROM users WHERE email LIKE $1", "SELECT count(*)::int FROM email_claims WHERE email_key LIKE $1"} {
			if left := testcluster.MustQuery[int](t, conn, query, made)[0]; left != 0 {
				t.Errorf("%s: %s: got %d, want none", cfg.Shards[i].Name, query, left)
			}
		}
	}
}

func havePrograms(t *testing.T) {
	t.Helper()
	if err := needPrograms(t.Context()); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

// TestRequests has wrk send to a server that takes note: records are drawn from all, and every address that is posted is new, whichever
// thread posts it.
func TestRequests(t *testing.T) {
	t.Parallel()
	havePrograms(t)
	var (
		mu    sync.Mutex
		seen  = map[string]map[string]int{} // how often, by method
		wrong []string
	)
	url := serve(t, func(c *fasthttp.RequestCtx) {
		mu.Lock()
		defer mu.Unlock()
		method, what := string(c.Method()), string(c.Path())
		if method == "POST" {
			var user struct{ Name, Email string }
			if err := json.Unmarshal(c.PostBody(), &user); err != nil || string(c.Request.Header.ContentType()) != "application/json" {
				wrong = append(wrong, string(c.PostBody()))
			}
			what = user.Email
		}
		if seen[method] == nil {
			seen[method] = map[string]int{}
		}
		seen[method][what]++
	})
	dir := t.TempDir()
	script, records := filepath.Join(dir, "wrk.lua"), filepath.Join(dir, "records")
	if err := os.WriteFile(script, wrkScript, 0o600); err != nil {
		t.Fatal(err)
	}
	length, err := writeRecords(records, []string{"one", "two", "six"})
	if err != nil {
		t.Fatal(err)
	}
	for _, traffic := range []traffic{
		{method: "GET", path: "/users/", file: records, length: length},
		{method: "PUT", path: "/users/", file: records, length: length},
		{method: "POST", path: "/users/", mark: "mark"},
	} {
		m, err := attack(t.Context(), script, url, traffic, 2, time.Second)
		if err != nil || m.failed > 0 {
			t.Errorf("%s: got %+v, %v", traffic.method, m, err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(wrong) > 0 {
		t.Errorf("bodies that are not JSON: %q", wrong[0])
	}
	for _, method := range []string{"GET", "PUT"} {
		for _, path := range []string{"/users/one", "/users/two", "/users/six"} {
			if seen[method][path] == 0 || len(seen[method]) != 3 {
				t.Errorf("%s: got %v, want all three records, %s too", method, seen[method], path)
			}
		}
	}
	for address, times := range seen["POST"] {
		if times > 1 || !strings.HasPrefix(address, "bench-mark-") || !strings.HasSuffix(address, "@bench.invalid") {
			t.Fatalf("%q was posted %d times, want addresses of the bench, once each", address, times)
		}
	}
	if len(seen["POST"]) == 0 {
		t.Error("nothing was posted")
	}
}

// serve answers until the test ends, and returns where.
func serve(t *testing.T, handler fasthttp.RequestHandler) (url string) {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &fasthttp.Server{Handler: handler}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	t.Cleanup(func() {
		if err := errors.Join(server.Shutdown(), <-served); err != nil {
			t.Error(err)
		}
	})
	return "http://" + ln.Addr().String()
}

// TestNothingIsNoResult feeds what the programs say when nothing was answered.
func TestNothingIsNoResult(t *testing.T) {
	t.Parallel()
	for name, said := range map[string]string{
		"no result":    "Running 1s test @ http://127.0.0.1:1\n",
		"no answer":    "\nRESULT {\"requests\":0,\"micros\":1000000,\"p50\":0,\"p99\":0,\"connect\":8,\"read\":0,\"write\":0,\"status\":0,\"timeout\":0}\n",
		"all refused":  "\nRESULT {\"requests\":9,\"micros\":1000000,\"p50\":5,\"p99\":6,\"connect\":0,\"read\":0,\"write\":0,\"status\":9,\"timeout\":0}\n",
		"not our JSON": "\nRESULT {\n",
	} {
		if m, err := parseWrk([]byte(said)); err == nil {
			t.Errorf("wrk, %s: got %+v, want an error", name, m)
		}
	}
	const some = "number of transactions actually processed: 12\nnumber of failed transactions: 1 (7.7%)\ntps = 11.5 (without initial connection time)\n"
	if m, err := parsePgbench([]byte(some)); err != nil || m.answers != 12 || m.failed != 1 || m.rate != 11.5 {
		t.Errorf("pgbench: got %+v, %v", m, err)
	}
	for _, said := range []string{"", strings.ReplaceAll(some, "12", "0"), strings.ReplaceAll(some, "tps", "tpm")} {
		if m, err := parsePgbench([]byte(said)); err == nil {
			t.Errorf("pgbench, %q: got %+v, want an error", said, m)
		}
	}
	r := &result{all: make(map[key][]measurement)}
	if r.failures() == nil {
		t.Error("a run without a measurement is no failure")
	}
	r.add(key{"get", 8, api2}, measurement{answers: 5, failed: 1})
	if r.failures() == nil {
		t.Error("a request that failed is no failure of the run")
	}
}

// TestSteadyChargesForWaiting has a server stand still for a while: everybody whose request was due meanwhile has waited, not only those
// who had a connection.
func TestSteadyChargesForWaiting(t *testing.T) {
	t.Parallel()
	const rate, still = 1000, 500 * time.Millisecond
	opens := sync.OnceValue(func() time.Time { return time.Now().Add(still) }) // from the first request on
	url := serve(t, func(*fasthttp.RequestCtx) { <-time.After(time.Until(opens())) })
	m, err := steady(t.Context(), url, func() string { return "/" }, rate, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if m.answers != rate || m.failed != 0 {
		t.Errorf("got %d answers and %d failures, want all %d", m.answers, m.failed, rate)
	}
	if m.p99 < still*8/10 {
		t.Errorf("p99 is %s, though nobody was answered for %s", m.p99, still)
	}
	if m, err := steady(t.Context(), "http://127.0.0.1:1", func() string { return "/" }, 10, time.Second); err == nil {
		t.Errorf("nobody listens: got %+v, want an error", m)
	}
}

// TestCacheGains has one gain and one loss, each told as what it is.
func TestCacheGains(t *testing.T) {
	t.Parallel()
	r := &result{all: make(map[key][]measurement)}
	if got := r.cacheGains(); got != "" {
		t.Errorf("nothing was measured: got %q", got)
	}
	for k, m := range map[key]measurement{
		{getFew, 64, api2}: {rate: 100, p99: 20 * time.Millisecond, cpu: cpu{api: 1, postgres: 3}}, {getFew, 64, cached2}: {rate: 300, p99: 5 * time.Millisecond, cpu: cpu{api: 1, redis: 1}},
	} {
		r.add(k, m)
	}
	r.add(key{getAny, 64, api2}, measurement{rate: 100, p99: 20 * time.Millisecond, cpu: cpu{api: 2}})
	r.add(key{getAny, 64, cached2}, measurement{rate: 80, p99: 30 * time.Millisecond, cpu: cpu{api: 2, redis: 1}})
	got := r.cacheGains()
	for _, want := range []string{"| get, of 1,000 users | 64 | +200 % | -75 % | -50 % |\n", "| get, nothing repeats | 64 | -20 % | +50 % | +50 % |\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwant a line %q", got, want)
		}
	}
}

func TestTargets(t *testing.T) {
	t.Parallel()
	r := &result{all: make(map[key][]measurement)}
	for _, rate := range []float64{90, 100, 500} { // the median counts
		r.add(key{"get", 64, api2}, measurement{rate: rate, answers: 1, p99: 16 * time.Millisecond})
	}
	r.add(key{"get", 64, pgbench}, measurement{rate: 150, answers: 1})
	var got []string
	for _, target := range r.targets() {
		verdict := "missed"
		if target.met() {
			verdict = "met"
		}
		got = append(got, target.what+": "+target.value(target.got)+", "+verdict)
	}
	want := []string{"GET by id, 64 connections, of pgbench: 0.67 ×, met", "GET by id, 64 connections, p99: 16.0 ms, missed"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q, want %q", got, want)
	}
}
