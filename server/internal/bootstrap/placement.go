package bootstrap

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/freshness"
)

// placement tells Prometheus what the workers go by: the ring, and how fresh they
// take the replicas to be.
type placement struct {
	cfg    config.Config
	table  *freshness.Table
	shares map[string]float64
}

var (
	shareDesc = prometheus.NewDesc("messenger_ring_share_ratio", "Part of the ring that the shard owns.", []string{"shard"}, nil)
	staleDesc = prometheus.NewDesc("messenger_replica_lag_seconds", "How far the replica is behind its primary, as far as that can be asked.", []string{"shard"}, nil)
	usedDesc  = prometheus.NewDesc("messenger_replica_serves", "1 if the replica has answered lately and is not behind by more than REPLICA_MAX_LAG: reads go to it.", []string{"shard"}, nil)
)

func newPlacement(cfg config.Config, table *freshness.Table) (placement, error) {
	p := placement{cfg: cfg, table: table, shares: map[string]float64{cfg.Shards[0].Name: 1}}
	if len(cfg.Shards) == 1 {
		return p, nil
	}
	ring, err := shard.NewRing(shardNames(cfg))
	if err != nil {
		return p, err
	}
	p.shares = ring.Shares()
	return p, nil
}

// Describe implements prometheus.Collector.
func (placement) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{shareDesc, staleDesc, usedDesc} {
		to <- desc
	}
}

// Collect implements prometheus.Collector.
func (p placement) Collect(to chan<- prometheus.Metric) {
	for i, s := range p.cfg.Shards {
		to <- prometheus.MustNewConstMetric(shareDesc, prometheus.GaugeValue, p.shares[s.Name], s.Name)
		if s.Replica == "" {
			continue
		}
		serves := 0.0
		if p.table.Serves(i, p.cfg.ReplicaMaxLag) {
			serves = 1
		}
		to <- prometheus.MustNewConstMetric(staleDesc, prometheus.GaugeValue, p.table.Lag(i).Seconds(), s.Name)
		to <- prometheus.MustNewConstMetric(usedDesc, prometheus.GaugeValue, serves, s.Name)
	}
}
