package metrics

import (
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func open(t testing.TB, workers, shards int) (*Memory, *os.File) {
	t.Helper()
	m, f, err := Create(workers, shards)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m, f
}

// TestCounts counts by two views of one memory, as two processes would.
func TestCounts(t *testing.T) {
	t.Parallel()
	m, f := open(t, 2, 2)
	other, err := Attach(f, 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	m.Worker(0).Answered("GET", "/health", 200, 2*time.Millisecond)
	other.Worker(1).Answered("GET", "/health", 200, 2*time.Millisecond+1)
	other.Worker(1).Answered("BREW", "/coffee", 418, time.Hour)
	other.Worker(1).Server(1, Replica).Asked(Answered, time.Millisecond)
	other.Worker(1).Server(1, Replica).Asked(GateShut, 0)
	other.Worker(1).Server(1, Replica).Waited(300 * time.Microsecond)
	m.Worker(0).Server(1, Replica).Sent(1)
	other.Worker(1).Server(1, Replica).Sent(100)
	m.Worker(0).Looked(CacheLook{Outcome: CacheFetched})
	other.Worker(1).Looked(CacheLook{Outcome: CacheFetched, Joined: true})
	other.Worker(1).Looked(CacheLook{Outcome: CacheBypassed})
	m.Worker(0).Limited(true)
	m.Worker(0).Limited(false)
	other.Worker(1).Limited(true)
	m.Started(1)
	m.Died(1)
	err = testutil.CollectAndCompare(NewCollector(m, []string{"a", "b"}), strings.NewReader(`
# HELP messenger_http_requests_total Requests that were answered, or refused.
# TYPE messenger_http_requests_total counter
messenger_http_requests_total{method="GET",route="/health",status="200"} 2
messenger_http_requests_total{method="other",route="none",status="other"} 1
# HELP messenger_shard_queries_total What came of statements; gate_shut and queue_full are requests that were not sent.
# TYPE messenger_shard_queries_total counter
messenger_shard_queries_total{outcome="answered",role="replica",shard="b"} 1
messenger_shard_queries_total{outcome="canceled",role="replica",shard="b"} 0
messenger_shard_queries_total{outcome="error",role="replica",shard="b"} 0
messenger_shard_queries_total{outcome="failed",role="replica",shard="b"} 0
messenger_shard_queries_total{outcome="gate_shut",role="replica",shard="b"} 1
messenger_shard_queries_total{outcome="queue_full",role="replica",shard="b"} 0
messenger_shard_queries_total{outcome="timeout",role="replica",shard="b"} 0
# HELP messenger_shard_batch_size Requests that a statement answers, where they may go together.
# TYPE messenger_shard_batch_size histogram
messenger_shard_batch_size_bucket{role="replica",shard="b",le="1"} 1
messenger_shard_batch_size_bucket{role="replica",shard="b",le="2"} 1
messenger_shard_batch_size_bucket{role="replica",shard="b",le="4"} 1
messenger_shard_batch_size_bucket{role="replica",shard="b",le="8"} 1
messenger_shard_batch_size_bucket{role="replica",shard="b",le="16"} 1
messenger_shard_batch_size_bucket{role="replica",shard="b",le="32"} 1
messenger_shard_batch_size_bucket{role="replica",shard="b",le="64"} 1
messenger_shard_batch_size_bucket{role="replica",shard="b",le="128"} 2
messenger_shard_batch_size_bucket{role="replica",shard="b",le="+Inf"} 2
messenger_shard_batch_size_sum{role="replica",shard="b"} 101
messenger_shard_batch_size_count{role="replica",shard="b"} 2
# HELP messenger_cache_joined_total Looks into the cache that shared another's question to Redis.
# TYPE messenger_cache_joined_total counter
messenger_cache_joined_total 1
# HELP messenger_cache_lookups_total Reads that the cache might have answered, by what it had.
# TYPE messenger_cache_lookups_total counter
messenger_cache_lookups_total{outcome="bypassed"} 1
messenger_cache_lookups_total{outcome="error"} 0
messenger_cache_lookups_total{outcome="fetched"} 2
messenger_cache_lookups_total{outcome="hit"} 0
messenger_cache_lookups_total{outcome="miss"} 0
messenger_cache_lookups_total{outcome="stale"} 0
# HELP messenger_rate_limit_requests_total Requests of clients that are limited.
# TYPE messenger_rate_limit_requests_total counter
messenger_rate_limit_requests_total{outcome="allowed"} 2
messenger_rate_limit_requests_total{outcome="refused"} 1
# HELP messenger_worker_deaths_total Processes of this worker that ended without having been told to.
# TYPE messenger_worker_deaths_total counter
messenger_worker_deaths_total{worker="0"} 0
messenger_worker_deaths_total{worker="1"} 1
# HELP messenger_worker_requests_total Requests that the worker answered.
# TYPE messenger_worker_requests_total counter
messenger_worker_requests_total{worker="0"} 1
messenger_worker_requests_total{worker="1"} 2
`), "messenger_http_requests_total", "messenger_shard_queries_total", "messenger_shard_batch_size",
		"messenger_cache_joined_total", "messenger_cache_lookups_total", "messenger_rate_limit_requests_total", "messenger_worker_deaths_total", "messenger_worker_requests_total")
	if err != nil {
		t.Error(err)
	}
	var took totals
	took.add(&m.slots[0].took[routeIndex["/health"]][1])
	took.add(&m.slots[1].took[routeIndex["/health"]][1])
	if took.buckets[3] != 1 || took.buckets[4] != 1 || math.Abs(took.sum-(4*time.Millisecond+1).Seconds()) > 1e-12 {
		t.Errorf("got %+v, want one of at most 2 ms, and one of more", took)
	}
}

// TestStateIsOnes: a successor that gets ready does not speak for who is there.
func TestStateIsOnes(t *testing.T) {
	t.Parallel()
	m, _ := open(t, 1, 1)
	state := &m.slots[0].state
	w := m.Worker(0)
	w.Join()
	w.TakeOver(4711)
	w.Tell(Serving, 3, []ServerState{{Role: Replica, Shut: true, Busy: 2, Open: 5, Limit: 9}})
	if m.Phase(0) != "serving" || m.PID(0) != os.Getpid() || m.PprofPort(0) != 4711 || state.connections.Load() != 3 || state.goroutines.Load() == 0 {
		t.Errorf("phase %s, pid %d, port %d: %d connections, %d goroutines", m.Phase(0), m.PID(0), m.PprofPort(0), state.connections.Load(), state.goroutines.Load())
	}
	state.owner.Store(uint64(os.Getpid() + 1))
	w.Join()
	w.Tell(Draining, 7, nil)
	if m.Phase(0) != "serving" || state.connections.Load() != 3 {
		t.Errorf("who has a successor still tells: %s, %d connections", m.Phase(0), state.connections.Load())
	}
	for _, ago := range []time.Duration{silence + time.Second, -time.Hour} { // the latter by a clock that was set back
		state.at.Store(time.Now().Add(-ago).UnixNano())
		if m.Phase(0) != "silent" {
			t.Errorf("phase %s, told %s ago, want silent", m.Phase(0), ago)
		}
	}
	m.Died(0)
	if m.Phase(0) != "silent" || m.PID(0) != 0 {
		t.Errorf("phase %s, pid %d of the dead", m.Phase(0), m.PID(0))
	}
}

// TestSuccessorOfTheDead: who is started in a dead worker's place is not taken for it.
func TestSuccessorOfTheDead(t *testing.T) {
	t.Parallel()
	m, _ := open(t, 1, 1)
	w := m.Worker(0)
	w.TakeOver(4711)
	w.Tell(Serving, 3, []ServerState{{Role: Replica, Shut: true, Busy: 2, Open: 5, Limit: 9}})
	m.Died(0)
	w.Join()
	if m.Phase(0) != "silent" || m.PprofPort(0) != 0 {
		t.Errorf("phase %s, port %d of who has told nothing yet", m.Phase(0), m.PprofPort(0))
	}
	if n := testutil.CollectAndCount(NewCollector(m, []string{"a"}), "messenger_shard_pool_connections", "messenger_worker_goroutines"); n != 0 {
		t.Errorf("%d figures of the dead worker are told as its successor's", n)
	}
	w.Tell(Starting, 0, nil)
	if m.Phase(0) != "starting" {
		t.Errorf("phase %s, want what the successor tells", m.Phase(0))
	}
}

// TestLongSums: 10,000 requests that wait all the time make 10,000 seconds each second.
func TestLongSums(t *testing.T) {
	t.Parallel()
	m, _ := open(t, 2, 1)
	const long = 1 << 62 // nanoseconds: five days of that
	for i := range m.slots {
		m.Worker(i).Answered("GET", "/health", 200, long)
		m.Worker(i).Answered("GET", "/health", 200, long)
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(NewCollector(m, []string{"a"}))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got float64
	for _, family := range families {
		if family.GetName() == "messenger_http_request_duration_seconds" {
			got = family.GetMetric()[0].GetHistogram().GetSampleSum()
		}
	}
	if want := 4 * time.Duration(long).Seconds(); math.Abs(got/want-1) > 1e-9 {
		t.Errorf("%g seconds in all, want %g", got, want)
	}
}

func TestNamesAndHelps(t *testing.T) {
	t.Parallel()
	m, _ := open(t, 1, 1)
	w := m.Worker(0)
	w.TakeOver(1)
	w.Answered("GET", "/health", 200, 0)
	w.Server(0, Primary).Asked(Late, time.Second)
	w.Tell(Serving, 1, []ServerState{{Open: 1}})
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(NewCollector(m, []string{"shard-0"}), NewProcesses(m))
	problems, err := testutil.GatherAndLint(registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestAttachChecksTheMemory(t *testing.T) {
	t.Parallel()
	_, f := open(t, 2, 2)
	if _, err := Attach(f, 3, 2); err == nil {
		t.Error("attached to memory of fewer workers")
	}
	if _, err := Attach(f, 2, 3); err == nil {
		t.Error("attached to memory of fewer shards")
	}
	if _, _, err := Create(1, maxShards+1); err == nil {
		t.Error("made memory of too many shards")
	}
}

func TestWordsFit(t *testing.T) {
	t.Parallel()
	if len(Routes) > maxRoutes || len(Statuses) > maxStatuses {
		t.Errorf("%d routes of at most %d, %d statuses of at most %d", len(Routes), maxRoutes, len(Statuses), maxStatuses)
	}
}

// BenchmarkRequest is what a request costs in all: its own count, and those of one statement.
func BenchmarkRequest(b *testing.B) {
	m, _ := open(b, 1, 1)
	w := m.Worker(0)
	server := w.Server(0, Replica)
	b.ReportAllocs()
	for b.Loop() {
		server.Waited(20 * time.Microsecond)
		server.Sent(1)
		server.Asked(Answered, 400*time.Microsecond)
		w.Answered("GET", "/api/v1/users/:id", 200, 500*time.Microsecond)
	}
}
