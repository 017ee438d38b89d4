package lookout

import (
	"github.com/prometheus/client_golang/prometheus"
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("messenger_"+name, help, append([]string{"shard"}, labels...), nil)
}

var (
	upDesc           = describe("server_up", "1 if the database answered the last look.", "server")
	roleDesc         = describe("server_role", "1 for what the database is now.", "server", "role")
	walDesc          = describe("server_wal_bytes", "Write-ahead log that a primary has written, or a replica replayed, ever.", "server")
	connectionsDesc  = describe("server_connections", "Sessions in the shard's database.", "server")
	transactionsDesc = describe("server_transactions_total", "Transactions in the shard's database.", "server", "outcome")
	usersDesc        = describe("shard_users", "Users of the shard, as the database's statistics have it.")
	lagDesc          = describe("replica_lag_bytes", "Write-ahead log that the replica has yet to replay.")

	slotDesc         = describe("slot_active", "1 if a replica streams from the slot that keeps write-ahead log for it.")
	slotLostDesc     = describe("slot_lost", "1 if what the replica needs is no longer kept: it has to be cloned again (make up).")
	slotRetainedDesc = describe("slot_retained_bytes", "Write-ahead log that is kept for the replica.")
	slotMostDesc     = describe("slot_retained_limit_bytes", "How much of it may be kept (max_slot_wal_keep_size).")

	poolerUpDesc      = describe("pooler_up", "1 if PgBouncer answered the last look.")
	poolerClientsDesc = describe("pooler_clients", "Clients of PgBouncer, by whether they wait for a connection to the primary.", "state")
	poolerServersDesc = describe("pooler_servers", "Connections of PgBouncer to the primary.", "state")
	poolerWaitDesc    = describe("pooler_wait_seconds", "How long the client has waited that waits longest for a connection to the primary.")
)

// Describe implements prometheus.Collector.
func (l *Lookout) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		upDesc, roleDesc, walDesc, connectionsDesc, transactionsDesc, usersDesc, lagDesc, slotDesc, slotLostDesc, slotRetainedDesc, slotMostDesc,
		poolerUpDesc, poolerClientsDesc, poolerServersDesc, poolerWaitDesc,
	} {
		to <- desc
	}
}

// Collect implements prometheus.Collector.
func (l *Lookout) Collect(to chan<- prometheus.Metric) {
	for i, s := range l.shards {
		var primary, replica *serverFound
		for n, t := range l.servers[i] {
			found := t.found.Load()
			if found == nil {
				continue
			}
			server := s.Servers[n].Name
			to <- gauge(upDesc, one(found.up), s.Name, server)
			if !found.up {
				continue
			}
			what := found.what
			collectServer(to, s.Name, server, what)
			if what.replica {
				replica = &what
			} else {
				primary = &what
			}
		}
		collectShard(to, s, primary, replica)
		if found := l.poolers[i].found.Load(); found != nil {
			to <- gauge(poolerUpDesc, one(found.up), s.Name)
			if found.up {
				collectPooler(to, s.Name, found.what)
			}
		}
	}
}

func collectServer(to chan<- prometheus.Metric, shard, server string, f serverFound) {
	to <- gauge(roleDesc, one(!f.replica), shard, server, "primary")
	to <- gauge(roleDesc, one(f.replica), shard, server, "replica")
	to <- gauge(walDesc, float64(f.wal), shard, server)
	to <- gauge(connectionsDesc, float64(f.connections), shard, server)
	to <- counter(transactionsDesc, f.commits, shard, server, "committed")
	to <- counter(transactionsDesc, f.rollback, shard, server, "rolled_back")
}

func collectShard(to chan<- prometheus.Metric, s Shard, primary, replica *serverFound) {
	switch {
	case primary != nil:
		to <- gauge(usersDesc, float64(primary.users), s.Name)
	case replica != nil:
		to <- gauge(usersDesc, float64(replica.users), s.Name)
	}
	if primary != nil && replica != nil { // which may have been asked the later of the two
		to <- gauge(lagDesc, float64(max(0, primary.wal-replica.wal)), s.Name)
	}
	if primary == nil || len(s.Servers) == 1 { // without a replica there is no slot to be lost
		return
	}
	to <- gauge(slotDesc, one(primary.slotActive), s.Name)
	to <- gauge(slotLostDesc, one(primary.slotStatus == "lost" || primary.slotStatus == "missing"), s.Name)
	to <- gauge(slotRetainedDesc, float64(primary.slotRetained), s.Name)
	if primary.slotMost >= 0 {
		to <- gauge(slotMostDesc, float64(primary.slotMost), s.Name)
	}
}

func collectPooler(to chan<- prometheus.Metric, shard string, f poolerFound) {
	to <- gauge(poolerClientsDesc, float64(f.sums["cl_active"]), shard, "active")
	to <- gauge(poolerClientsDesc, float64(f.sums["cl_waiting"]), shard, "waiting")
	for _, state := range []string{"active", "idle", "used", "tested", "login"} {
		to <- gauge(poolerServersDesc, float64(f.sums["sv_"+state]), shard, state)
	}
	to <- gauge(poolerWaitDesc, f.longest.Seconds(), shard)
}

func counter(desc *prometheus.Desc, n int64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), labels...)
}

func gauge(desc *prometheus.Desc, n float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, n, labels...)
}

func one(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
