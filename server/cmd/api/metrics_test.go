package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	prommodel "github.com/prometheus/common/model"

	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// TestMetrics compares what 7 workers have counted with what clients have counted:
// exactly while no worker dies, and as well as can be when one does.
func TestMetrics(t *testing.T) {
	cfg := testcluster.Open(t)
	s := start(t, "GOMAXPROCS=7", withAdmin)
	s.awaitCount(t, 7, func(l logLine) bool { return l.Msg == "worker ready" })
	admin := "http://" + s.awaitLine(t, func(l logLine) bool { return l.Msg == "admin port" }).Addr
	id := must[user](t, s, "POST", "/api/v1/users", createBody("Ada", "ada@example.com"), 201).ID
	tally := newTally()
	tally.add("POST", "/api/v1/users", 201)

	t.Run("equal what clients count", func(t *testing.T) {
		tally.load(s, id, 150)
		if cut := tally.cut.Load(); cut > 0 {
			t.Fatalf("%d requests were not answered", cut)
		}
		got := requestCounts(scrape(t, admin))
		for request, want := range tally.answered {
			if got[request] != want {
				t.Errorf("%s: %d counted, %d answered", request, got[request], want)
			}
		}
		for request := range got {
			if _, known := tally.answered[request]; !known {
				t.Errorf("%s: %d counted, none sent", request, got[request])
			}
		}
	})
	t.Run("add up over workers and shards", func(t *testing.T) {
		found := scrape(t, admin)
		all, workers := sum(found["messenger_http_requests_total"]), sum(found["messenger_worker_requests_total"])
		if all != workers || all == 0 {
			t.Errorf("%v requests, %v of all workers", all, workers)
		}
		if n := len(found["messenger_worker_requests_total"].GetMetric()); n != 7 {
			t.Errorf("%d workers tell, want 7", n)
		}
		for _, shard := range shardNames(cfg) {
			if n := sum(found["messenger_shard_queries_total"], "shard", shard, "outcome", "answered"); n == 0 {
				t.Errorf("%s has answered nothing", shard)
			}
		}
		if share := sum(found["messenger_ring_share_ratio"]); share < 0.999999 || share > 1.000001 {
			t.Errorf("the shards own %v of the ring", share)
		}
	})
	t.Run("tell how databases and poolers are", func(t *testing.T) {
		await(t, func() error {
			found := scrape(t, admin)
			for name, want := range map[string]float64{
				"messenger_server_up": 10, "messenger_pooler_up": 5, "messenger_slot_active": 5, "messenger_slot_lost": 0, "messenger_replica_serves": 5,
				"messenger_shard_gate_shut_workers": 0,
			} {
				if got := sum(found[name]); found[name] == nil || got != want {
					return fmt.Errorf("%s: %v in all, want %v", name, got, want)
				}
			}
			if users := sum(found["messenger_shard_users"]); users == 0 { // the statistics come within seconds
				return errors.New("no users")
			}
			return nil
		})
	})
	t.Run("are all that alerts and the dashboard ask for", func(t *testing.T) {
		found, asked := scrape(t, admin), 0
		for _, file := range []string{"rules.yml", "grafana/dashboards/messenger.json"} {
			text, err := os.ReadFile("../../../monitoring/" + file)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range regexp.MustCompile(`\b(messenger|process)_[a-z_]+[a-z]`).FindAllString(string(text), -1) {
				asked++
				if found[name] == nil && found[regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")] == nil {
					t.Errorf("%s asks for %s, which there is not", file, name)
				}
			}
		}
		if asked < 50 {
			t.Errorf("only %d names found", asked)
		}
	})
	t.Run("please promtool", func(t *testing.T) { checkMetrics(t, admin) })
	t.Run("outlive a worker", func(t *testing.T) {
		victim := s.awaitLine(t, func(l logLine) bool { return l.Msg == "worker ready" }).WorkerPID
		go func() {
			for began := tally.sent.Load(); tally.sent.Load() < began+300; {
				<-time.After(time.Millisecond)
			}
			_ = syscall.Kill(victim, syscall.SIGKILL)
		}()
		tally.load(s, id, 250)
		await(t, func() error {
			if n := sum(scrape(t, admin)["messenger_worker_deaths_total"]); n != 1 {
				return fmt.Errorf("%v deaths", n)
			}
			return nil
		})
		got, extra := requestCounts(scrape(t, admin)), 0
		for request, want := range tally.answered {
			if got[request] < want {
				t.Errorf("%s: %d counted, %d answered", request, got[request], want)
			}
			extra += got[request] - want
		}
		if cut := int(tally.cut.Load()); extra > cut {
			t.Errorf("%d requests counted that were not answered, and %d were cut", extra, cut)
		}
		t.Logf("%d requests answered; %d cut, %d of them counted", tally.total(), tally.cut.Load(), extra)
	})
	t.Run("can be looked into", func(t *testing.T) {
		await(t, func() error {
			for i := range 7 {
				if status, text, err := fetch(t, fmt.Sprintf("%s/workers/%d/debug/pprof/goroutine?debug=1", admin, i)); err != nil || status != 200 || !strings.Contains(text, "goroutine profile") {
					return fmt.Errorf("worker %d: %d %s %w", i, status, text, err)
				}
			}
			return nil
		})
		if status, _, _ := fetch(t, admin+"/workers/7/debug/pprof/"); status != 404 {
			t.Errorf("worker 7: got %d, want 404", status)
		}
	})
	t.Run("are told while nobody serves", func(t *testing.T) {
		if status, text, _ := fetch(t, admin+"/readyz"); status != 200 {
			t.Errorf("before: readyz %d %s", status, text)
		}
		stopped := s.matching(func(l logLine) bool { return l.Msg == "worker ready" })
		for _, l := range stopped {
			_ = syscall.Kill(l.WorkerPID, syscall.SIGSTOP) // one is dead
		}
		defer func() {
			for _, l := range stopped {
				_ = syscall.Kill(l.WorkerPID, syscall.SIGCONT)
			}
		}()
		if n := len(requestCounts(scrape(t, admin))); n == 0 {
			t.Error("no counts")
		}
		await(t, func() error {
			if status, text, _ := fetch(t, admin+"/readyz"); status != 503 {
				return fmt.Errorf("readyz %d %s", status, text)
			}
			return nil
		})
		if status, _, _ := fetch(t, admin+"/livez"); status != 200 {
			t.Errorf("livez: %d", status)
		}
	})
}

// TestAdminPortTaken: who else has the port costs the metrics, until it goes.
func TestAdminPortTaken(t *testing.T) {
	testcluster.Open(t)
	first := start(t, withAdmin)
	addr := first.awaitLine(t, func(l logLine) bool { return l.Msg == "admin port" }).Addr
	second := start(t, "ADMIN_ADDR="+addr)
	line := second.awaitLine(t, func(l logLine) bool { return l.Level == "ERROR" && strings.Contains(l.Msg, "the address is taken") })
	if line.Addr != addr {
		t.Errorf("%s is taken, the log tells of %s", addr, line.Addr)
	}
	must[user](t, second, "POST", "/api/v1/users", createBody("Ada", "ada@example.com"), 201)
	if code := first.stop(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	second.awaitLine(t, func(l logLine) bool { return l.Msg == "admin port" && l.Addr == addr })
	if n := requestCounts(scrape(t, "http://"+addr))["POST /api/v1/users 201"]; n != 1 {
		t.Errorf("%d creates counted, want the second server's one", n)
	}
}

// TestAdminEnds: the process behind the admin port is replaced when it dies, and ends with its master.
func TestAdminEnds(t *testing.T) {
	testcluster.Open(t)
	s := start(t, withAdmin)
	isPort := func(l logLine) bool { return l.Msg == "admin port" }
	kill(t, s.awaitLine(t, isPort).PID)
	found := s.awaitCount(t, 2, isPort)
	if found[0].PID == found[1].PID {
		t.Error("the same process")
	}
	scrape(t, "http://"+found[1].Addr)
	kill(t, s.cmd.Process.Pid)
	await(t, func() error {
		if err := syscall.Kill(found[1].PID, 0); err == nil && !isZombie(found[1].PID) {
			return fmt.Errorf("process %d outlives its master", found[1].PID)
		}
		return nil
	})
}

// isZombie: where nobody waits for an orphan's end, as in some containers.
func isZombie(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(text), ") Z ")
}

// tally is what clients sent and were answered.
type tally struct {
	mu        sync.Mutex
	answered  map[string]int // by "GET /route 200"
	sent, cut atomic.Int64
}

func newTally() *tally { return &tally{answered: map[string]int{}} }

func (y *tally) add(method, route string, status int) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.answered[fmt.Sprintf("%s %s %d", method, route, status)]++
}

func (y *tally) total() (n int) {
	for _, answers := range y.answered {
		n += answers
	}
	return n
}

// load sends so many rounds of requests of all kinds, by 16 clients.
func (y *tally) load(s *server, id string, rounds int) {
	kinds := []struct{ method, path, body, route string }{
		{"GET", "/api/v1/users/" + id, "", "/api/v1/users/:id"},
		{"GET", "/api/v1/users/" + id + "/", "", "/api/v1/users/:id"},
		{"GET", "/api/v1/users/42", "", "/api/v1/users/:id"},
		{"GET", "/api/v1/users?limit=3", "", "/api/v1/users"},
		{"PUT", "/api/v1/users/" + id, `{"name":"Ada King"}`, "/api/v1/users/:id"},
		{"HEAD", "/readyz", "", "/readyz"},
		{"GET", "/nowhere", "", "none"},
		{"POST", "/api/v1/users", `{`, "/api/v1/users"},
		{"OPTIONS", "/api/v1/users", "", "none"},
	}
	var clients sync.WaitGroup
	var round atomic.Int64
	for range 16 {
		clients.Go(func() {
			for round.Add(1) <= int64(rounds) {
				for _, k := range kinds {
					y.sent.Add(1)
					status, _, err := s.send(k.method, k.path, k.body)
					if err != nil {
						y.cut.Add(1)
						continue
					}
					y.add(k.method, k.route, status)
				}
				email := fmt.Sprintf("t%d@example.com", y.sent.Add(1))
				if status, _, err := s.send("POST", "/api/v1/users/", createBody("Tim", email)); err != nil {
					y.cut.Add(1)
				} else {
					y.add("POST", "/api/v1/users", status)
				}
			}
		})
	}
	clients.Wait()
}

// scrape reads the admin port as Prometheus does.
func scrape(t testing.TB, admin string) map[string]*dto.MetricFamily {
	t.Helper()
	status, text, err := fetch(t, admin+"/metrics")
	if err != nil || status != http.StatusOK {
		t.Fatalf("GET /metrics: %d %s %v", status, text, err)
	}
	parser := expfmt.NewTextParser(prommodel.LegacyValidation)
	found, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func fetch(t testing.TB, url string) (int, string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), err
}

// requestCounts are the requests by "GET /route 200".
func requestCounts(found map[string]*dto.MetricFamily) map[string]int {
	counts := map[string]int{}
	for _, m := range found["messenger_http_requests_total"].GetMetric() {
		labels := labelsOf(m)
		counts[labels["method"]+" "+labels["route"]+" "+labels["status"]] = int(m.GetCounter().GetValue())
	}
	return counts
}

func labelsOf(m *dto.Metric) map[string]string {
	labels := map[string]string{}
	for _, l := range m.GetLabel() {
		labels[l.GetName()] = l.GetValue()
	}
	return labels
}

// sum adds up a metric, of the series with these labels' values.
func sum(family *dto.MetricFamily, labels ...string) (total float64) {
next:
	for _, m := range family.GetMetric() {
		has := labelsOf(m)
		for i := 0; i < len(labels); i += 2 {
			if has[labels[i]] != labels[i+1] {
				continue next
			}
		}
		total += m.GetCounter().GetValue() + m.GetGauge().GetValue()
	}
	return total
}

// checkMetrics has Prometheus' own tool judge names, types and helps.
func checkMetrics(t *testing.T, admin string) {
	t.Helper()
	promtool := needPromtool(t)
	_, text, err := fetch(t, admin+"/metrics")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(text)
	if said, err := cmd.CombinedOutput(); err != nil || len(said) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, said)
	}
}

func needPromtool(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("promtool is missing: CI must not pass over it")
		}
		t.Skip("needs promtool: `make monitoring` installs it")
	}
	return path
}
