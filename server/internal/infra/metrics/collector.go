package metrics

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Collector tells Prometheus what is in the memory: the sums over all workers, and
// what is each worker's own by its slot's number.
type Collector struct {
	memory *Memory
	shards []string
}

// NewCollector returns a Collector of shards with the given names.
func NewCollector(memory *Memory, shards []string) *Collector { return &Collector{memory, shards} }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("messenger_"+name, help, labels, nil)
}

var (
	requestsDesc = describe("http_requests_total", "Requests that were answered, or refused.", "method", "route", "status")
	tookDesc     = describe("http_request_duration_seconds", "Time from the parsed request to its answer.", "method", "route")

	queriesDesc  = describe("shard_queries_total", "What came of statements; gate_shut and queue_full are requests that were not sent.", "shard", "role", "outcome")
	queryDesc    = describe("shard_query_duration_seconds", "Time of a statement, the wait for a connection included.", "shard", "role")
	waitDesc     = describe("shard_connection_wait_seconds", "Time until a statement had a connection.", "shard", "role")
	togetherDesc = describe("shard_batch_size", "Requests that a statement answers, where they may go together.", "shard", "role")
	shutDesc     = describe("shard_gate_shut_workers", "Workers that do not ask the server, since it does not answer.", "shard", "role")
	insideDesc   = describe("shard_queue_requests", "Statements that wait for the server, or for their turn; one may be of several requests.", "shard", "role")
	roomDesc     = describe("shard_queue_limit", "Statements that may wait for the server; what needs one more is refused.", "shard", "role")
	openDesc     = describe("shard_pool_connections", "Connections of the workers' pools.", "shard", "role", "state")
	limitDesc    = describe("shard_pool_connections_limit", "Connections that the workers' pools may have.", "shard", "role")

	cacheDesc  = describe("cache_lookups_total", "Reads that the cache might have answered, by what it had.", "outcome")
	joinedDesc = describe("cache_joined_total", "Looks into the cache that shared another's question to Redis.")
	limitsDesc = describe("rate_limit_requests_total", "Requests of clients that are limited.", "outcome")

	workerRequestsDesc = describe("worker_requests_total", "Requests that the worker answered.", "worker")
	workerErrorsDesc   = describe("worker_errors_total", "Requests that the worker answered with a status of 500 or higher.", "worker")
	workerSecondsDesc  = describe("worker_request_duration_seconds", "Time from the parsed request to its answer.", "worker")
	workerStartsDesc   = describe("worker_starts_total", "Processes that were started as this worker.", "worker")
	workerDeathsDesc   = describe("worker_deaths_total", "Processes of this worker that ended without having been told to.", "worker")
	workerPhaseDesc    = describe("worker_phase", "1 for what the worker does: starting, serving, draining, or silent if it has told nothing for seconds, or is none.", "worker", "phase")
	workerToldDesc     = describe("worker_told_timestamp_seconds", "When the worker told last how it is.", "worker")
	connectionsDesc    = describe("worker_client_connections", "Connections of clients that the worker has open.", "worker")
	goroutinesDesc     = describe("worker_goroutines", "Goroutines of the worker.", "worker")
	heapDesc           = describe("worker_heap_bytes", "Objects on the worker's heap, also those that are no longer used.", "worker")
	goMemoryDesc       = describe("worker_go_memory_bytes", "Memory that the worker's Go runtime has mapped.", "worker")
	goLimitDesc        = describe("worker_go_memory_limit_bytes", "The worker's part of GOMEMLIMIT.", "worker")
	collectionsDesc    = describe("worker_gc_cycles_total", "Garbage collections of the worker's process.", "worker")
	collectingDesc     = describe("worker_gc_cpu_seconds_total", "Processor time that these took.", "worker")
)

// Describe implements prometheus.Collector.
func (c *Collector) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		requestsDesc, tookDesc, queriesDesc, queryDesc, waitDesc, togetherDesc, shutDesc, insideDesc, roomDesc, openDesc, limitDesc,
		cacheDesc, joinedDesc, limitsDesc,
		workerRequestsDesc, workerErrorsDesc, workerSecondsDesc, workerStartsDesc, workerDeathsDesc, workerPhaseDesc, workerToldDesc, connectionsDesc,
		goroutinesDesc, heapDesc, goMemoryDesc, goLimitDesc, collectionsDesc, collectingDesc,
	} {
		to <- desc
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(to chan<- prometheus.Metric) {
	c.requests(to)
	for i, name := range c.shards {
		for role := range roles {
			c.server(to, i, name, role)
		}
	}
	c.looks(to)
	for i := range c.memory.slots {
		c.worker(to, i)
	}
}

func (c *Collector) requests(to chan<- prometheus.Metric) {
	for r, route := range Routes {
		for m, method := range methods {
			var all totals
			for i := range c.memory.slots {
				all.add(&c.memory.slots[i].took[r][m])
			}
			for s, status := range Statuses {
				var n uint64
				for i := range c.memory.slots {
					n += c.memory.slots[i].requests[r][m][s].Load()
				}
				if n > 0 {
					to <- counter(requestsDesc, n, method, route, statusText(status))
				}
			}
			if all.count() > 0 {
				to <- all.metric(tookDesc, method, route)
			}
		}
	}
}

func statusText(status int) string {
	if status == 0 {
		return "other"
	}
	return strconv.Itoa(status)
}

func (c *Collector) server(to chan<- prometheus.Metric, shard int, name string, role Role) {
	var (
		outcomes                             [Outcomes]uint64
		took, waited                         totals
		together                             [len(sizes) + 1]uint64
		calls                                uint64
		known                                bool
		shut, inside, room, open, busy, most int64
	)
	for i := range c.memory.slots {
		slot := &c.memory.slots[i]
		at := &slot.servers[shard][role]
		for o := range outcomes {
			outcomes[o] += at.outcomes[o].Load()
		}
		took.add(&at.took)
		waited.add(&at.waited)
		for b := range together {
			together[b] += at.together.buckets[b].Load()
		}
		calls += at.together.sum.Load()
		told := &slot.state.servers[shard][role]
		if !slot.state.told() || !told.known.Load() {
			continue
		}
		known = true
		if told.shut.Load() {
			shut++
		}
		inside += told.inside.Load()
		room += told.room.Load()
		open += told.open.Load()
		busy += told.busy.Load()
		most += told.limit.Load()
	}
	if !known && took.count() == 0 {
		return // there is no such server
	}
	word := role.String()
	for o, n := range outcomes {
		to <- counter(queriesDesc, n, name, word, Outcome(o).String())
	}
	to <- took.metric(queryDesc, name, word)
	to <- waited.metric(waitDesc, name, word)
	to <- histogramOf(togetherDesc, together[:], float64(calls), func(i int) float64 { return float64(sizes[i]) }, name, word)
	to <- gauge(shutDesc, shut, name, word)
	to <- gauge(insideDesc, inside, name, word)
	to <- gauge(roomDesc, room, name, word)
	to <- gauge(openDesc, busy, name, word, "busy")
	to <- gauge(openDesc, max(0, open-busy), name, word, "idle")
	to <- gauge(limitDesc, most, name, word)
}

// looks are those into the cache and at limits.
func (c *Collector) looks(to chan<- prometheus.Metric) {
	var (
		cache   [cacheOutcomes]uint64
		limited [limitOutcomes]uint64
		joined  uint64
	)
	for i := range c.memory.slots {
		slot := &c.memory.slots[i]
		for o := range cache {
			cache[o] += slot.cache[o].Load()
		}
		for o := range limited {
			limited[o] += slot.limited[o].Load()
		}
		joined += slot.joined.Load()
	}
	for o, n := range cache {
		to <- counter(cacheDesc, n, CacheOutcome(o).String())
	}
	to <- counter(joinedDesc, joined)
	to <- counter(limitsDesc, limited[allowed], "allowed")
	to <- counter(limitsDesc, limited[refused], "refused")
}

// silence is how long a worker, which tells twice a second, may tell nothing before it
// counts as silent: whoever watches the page sees that it hangs within two seconds.
const silence = 1500 * time.Millisecond

func (c *Collector) worker(to chan<- prometheus.Metric, i int) {
	slot, worker := &c.memory.slots[i], strconv.Itoa(i)
	var (
		all              totals
		requests, errors uint64
	)
	for r := range Routes {
		for m := range methods {
			all.add(&slot.took[r][m])
			for s, status := range Statuses {
				n := slot.requests[r][m][s].Load()
				requests += n
				if status >= 500 {
					errors += n
				}
			}
		}
	}
	to <- counter(workerRequestsDesc, requests, worker)
	to <- counter(workerErrorsDesc, errors, worker)
	to <- all.metric(workerSecondsDesc, worker)
	to <- counter(workerStartsDesc, slot.starts.Load(), worker)
	to <- counter(workerDeathsDesc, slot.deaths.Load(), worker)

	s := &slot.state
	now := c.memory.Phase(i)
	for _, phase := range []string{"starting", "serving", "draining", "silent"} {
		to <- gauge(workerPhaseDesc, one(phase == now), worker, phase)
	}
	if !s.told() {
		return
	}
	to <- gauge(workerToldDesc, float64(s.at.Load())/float64(time.Second), worker)
	to <- gauge(connectionsDesc, s.connections.Load(), worker)
	to <- gauge(goroutinesDesc, s.goroutines.Load(), worker)
	to <- gauge(heapDesc, s.heap.Load(), worker)
	to <- gauge(goMemoryDesc, s.memory.Load(), worker)
	to <- gauge(goLimitDesc, s.limit.Load(), worker)
	to <- counter(collectionsDesc, s.collections.Load(), worker)
	to <- counter(collectingDesc, time.Duration(s.collecting.Load()).Seconds(), worker)
}

// Workers is how many slots there are.
func (m *Memory) Workers() int { return len(m.slots) }

// Phase is what a slot's worker does, in a word: "silent" if it has told nothing for
// seconds, or is none.
func (m *Memory) Phase(slot int) string {
	s := &m.slots[slot].state
	// Who is to tell in the future has told nothing since the clock was set back.
	if !s.told() || time.Since(time.Unix(0, s.at.Load())).Abs() > silence {
		return "silent"
	}
	return [...]string{"starting", "serving", "draining"}[s.phase.Load()]
}

// PID is the process of a slot's worker; 0 if it has none.
func (m *Memory) PID(slot int) int { return int(m.slots[slot].state.owner.Load()) }

// PprofPort is where on loopback a slot's worker can be looked into; 0 for nowhere.
func (m *Memory) PprofPort(slot int) int { return int(m.slots[slot].state.pprof.Load()) }

// totals is a histogram's, over several.
type totals struct {
	buckets [len(bounds) + 1]uint64
	sum     float64 // seconds: several workers' nanoseconds would not fit in a Duration for ever
}

func (t *totals) add(h *histogram) {
	for i := range t.buckets {
		t.buckets[i] += h.buckets[i].Load()
	}
	t.sum += float64(h.sum.Load()) / float64(time.Second)
}

func (t *totals) count() (n uint64) {
	for _, b := range t.buckets {
		n += b
	}
	return n
}

func (t *totals) metric(desc *prometheus.Desc, labels ...string) prometheus.Metric {
	return histogramOf(desc, t.buckets[:], t.sum, func(i int) float64 { return bounds[i].Seconds() }, labels...)
}

func histogramOf(desc *prometheus.Desc, buckets []uint64, sum float64, bound func(int) float64, labels ...string) prometheus.Metric {
	cumulative := make(map[float64]uint64, len(buckets)-1)
	var n uint64
	for i, b := range buckets {
		n += b
		if i < len(buckets)-1 {
			cumulative[bound(i)] = n
		}
	}
	return prometheus.MustNewConstHistogram(desc, n, sum, cumulative, labels...)
}

type number interface {
	~int | ~int64 | ~uint64 | ~float64
}

func counter[N number](desc *prometheus.Desc, n N, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), labels...)
}

func gauge[N number](desc *prometheus.Desc, n N, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(n), labels...)
}

func one(is bool) int {
	if is {
		return 1
	}
	return 0
}
