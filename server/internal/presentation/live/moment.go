package live

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// moment is what the metrics said at a time.
type moment struct {
	at      time.Time
	shards  []shardAt
	workers []workerAt
}

// traffic is what was asked of somebody, ever, and how long it took.
type traffic struct {
	done, failed float64
	took         histogram
}

func (t *traffic) add(o traffic) {
	t.done += o.done
	t.failed += o.failed
	t.took.add(o.took)
}

type shardAt struct {
	name         string
	share, users float64 // NaN for unknown, here and below
	servers      []serverAt
	pooler       poolerAt

	lag, lagBytes, serves float64 // of the replica
	slotActive, slotLost  float64
	retained, most        float64 // bytes of log kept for the replica
	sides                 [2]sideAt
}

// serverAt is a database.
type serverAt struct {
	name string
	up   bool
	role string // as it said itself; "" while it says nothing
}

type poolerAt struct{ up, clients, waiting, wait float64 }

// sideAt is a shard's primary or replica, as the workers ask it.
type sideAt struct {
	traffic
	refused, shut float64
	busy, limit   float64 // connections
}

const (
	primary = iota
	replica
)

type workerAt struct {
	traffic
	phase                                  string
	starts, deaths                         float64
	connections, goroutines, resident, cpu float64
}

// families are the metrics by their names without what all begin with.
type families map[string]*dto.MetricFamily

// read takes what it needs from the metrics.
func read(list []*dto.MetricFamily, at time.Time) moment {
	f := make(families, len(list))
	for _, family := range list {
		f[strings.TrimPrefix(family.GetName(), "messenger_")] = family
	}
	m := moment{at: at}
	for _, metric := range f["ring_share_ratio"].GetMetric() {
		m.shards = append(m.shards, shardAt{name: label(metric, "shard")})
	}
	slices.SortFunc(m.shards, func(a, b shardAt) int { // shard-10 after shard-9
		return cmp.Or(cmp.Compare(len(a.name), len(b.name)), cmp.Compare(a.name, b.name))
	})
	for i := range m.shards {
		m.shards[i].read(f)
	}
	m.workers = make([]workerAt, len(f["worker_starts_total"].GetMetric()))
	for i := range m.workers {
		m.workers[i].read(f, strconv.Itoa(i))
	}
	return m
}

func (s *shardAt) read(f families) {
	of := []string{"shard", s.name}
	s.share, s.users = f.value("ring_share_ratio", of...), f.value("shard_users", of...)
	s.lag, s.lagBytes, s.serves = f.value("replica_lag_seconds", of...), f.value("replica_lag_bytes", of...), f.value("replica_serves", of...)
	s.slotActive, s.slotLost = f.value("slot_active", of...), f.value("slot_lost", of...)
	s.retained, s.most = f.value("slot_retained_bytes", of...), f.value("slot_retained_limit_bytes", of...)
	s.pooler = poolerAt{
		up: f.value("pooler_up", of...), wait: f.value("pooler_wait_seconds", of...),
		clients: f.value("pooler_clients", "shard", s.name, "state", "active"), waiting: f.value("pooler_clients", "shard", s.name, "state", "waiting"),
	}
	for _, metric := range f.all("server_up", of...) {
		one := serverAt{name: label(metric, "server"), up: number(metric) == 1}
		for _, told := range f.all("server_role", "server", one.name) {
			if number(told) == 1 {
				one.role = label(told, "role")
			}
		}
		s.servers = append(s.servers, one)
	}
	for side, role := range []string{primary: "primary", replica: "replica"} {
		to := &s.sides[side]
		of := []string{"shard", s.name, "role", role}
		for _, metric := range f.all("shard_queries_total", of...) {
			switch n := number(metric); label(metric, "outcome") {
			case "answered", "error":
				to.done += n
			case "queue_full":
				to.refused += n
				to.failed += n
			case "timeout", "failed", "gate_shut":
				to.failed += n
			}
		}
		to.took = f.histogram("shard_query_duration_seconds", of...)
		to.shut, to.limit = f.value("shard_gate_shut_workers", of...), f.value("shard_pool_connections_limit", of...)
		to.busy = f.value("shard_pool_connections", append(of, "state", "busy")...)
	}
}

func (w *workerAt) read(f families, name string) {
	w.failed = f.value("worker_errors_total", "worker", name)
	w.done = f.value("worker_requests_total", "worker", name) - w.failed
	w.took = f.histogram("worker_request_duration_seconds", "worker", name)
	w.starts, w.deaths = f.value("worker_starts_total", "worker", name), f.value("worker_deaths_total", "worker", name)
	w.connections, w.goroutines = max(0, f.value("worker_client_connections", "worker", name)), f.value("worker_goroutines", "worker", name)
	w.resident, w.cpu = f.value("process_resident_memory_bytes", "process", "worker-"+name), f.value("process_cpu_seconds_total", "process", "worker-"+name)
	for _, metric := range f.all("worker_phase", "worker", name) {
		if number(metric) == 1 {
			w.phase = label(metric, "phase")
		}
	}
}

// all are a family's metrics that have these labels.
func (f families) all(name string, labels ...string) (found []*dto.Metric) {
next:
	for _, metric := range f[name].GetMetric() {
		for i := 0; i < len(labels); i += 2 {
			if label(metric, labels[i]) != labels[i+1] {
				continue next
			}
		}
		found = append(found, metric)
	}
	return found
}

// value is that of the metric with these labels; NaN if there is none.
func (f families) value(name string, labels ...string) float64 {
	if found := f.all(name, labels...); len(found) > 0 {
		return number(found[0])
	}
	return math.NaN()
}

func (f families) histogram(name string, labels ...string) (h histogram) {
	found := f.all(name, labels...)
	if len(found) == 0 {
		return nil
	}
	of := found[0].GetHistogram()
	for _, b := range of.GetBucket() {
		h = append(h, bucket{b.GetUpperBound(), float64(b.GetCumulativeCount())})
	}
	return append(h, bucket{math.Inf(1), float64(of.GetSampleCount())})
}

func label(metric *dto.Metric, name string) string {
	for _, l := range metric.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

func number(metric *dto.Metric) float64 {
	if c := metric.GetCounter(); c != nil {
		return c.GetValue()
	}
	return metric.GetGauge().GetValue()
}
