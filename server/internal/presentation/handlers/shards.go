package handlers

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v3"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/requestlog"
	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/problems"
)

// shardService is the part of services.Shards that these handlers call.
type shardService interface {
	Counts(ctx context.Context) (entities.ShardCounts, error)
	Health(ctx context.Context) (entities.Health, error)
	MaxAge() time.Duration
}

// Shards answers requests about the shards and about whether we serve.
type Shards struct {
	svc      shardService
	draining *atomic.Bool
}

// NewShards returns the handlers over a service. While draining is true, Ready
// says no.
func NewShards(svc shardService, draining *atomic.Bool) *Shards {
	return &Shards{svc: svc, draining: draining}
}

type statsJSON struct {
	TotalUsers int64            `json:"total_users"`
	ShardCount int              `json:"shard_count"`
	Shards     []shardCountJSON `json:"shards"`
	CountedAt  string           `json:"counted_at"`
	MaxAgeMS   int64            `json:"max_age_ms"` // how long an answer may be given again
}

type shardCountJSON struct {
	ShardName string `json:"shard_name"`
	UserCount int64  `json:"user_count"`
}

type healthJSON struct {
	Status    string            `json:"status"`
	Shards    []shardHealthJSON `json:"shards"`
	CheckedAt string            `json:"checked_at"`
}

type shardHealthJSON struct {
	ShardName string      `json:"shard_name"`
	Status    string      `json:"status"`
	Primary   serverJSON  `json:"primary"`
	Replica   *serverJSON `json:"replica,omitempty"`
	Slot      *slotJSON   `json:"slot,omitempty"`
}

type readyJSON struct {
	Status string             `json:"status"`
	Shards []shardSummaryJSON `json:"shards,omitempty"` // those that do not serve in full
}

type shardSummaryJSON struct {
	ShardName string `json:"shard_name"`
	Status    string `json:"status"`
}

type serverJSON struct {
	Status   string `json:"status"`
	Error    string `json:"error,omitempty"`
	LagBytes *int64 `json:"lag_bytes,omitempty"`
}

type slotJSON struct {
	WALStatus string `json:"wal_status"`
	Active    bool   `json:"active"`
}

// Stats answers GET /api/v1/shards/stats.
func (h *Shards) Stats(c fiber.Ctx) error {
	vary(c)
	counts, err := h.svc.Counts(c.Context())
	if err != nil {
		return err
	}
	stateGaps(c, counts.Missing)
	event := requestlog.From(c.Context()) // which may be given a count that another request asked for
	for _, count := range counts.Shards {
		event.Served(count.Shard, count.Server)
	}
	return c.JSON(statsToJSON(counts, h.svc.MaxAge()))
}

// Health answers GET /health: 503 when no shard serves.
func (h *Shards) Health(c fiber.Ctx) error {
	health, err := h.svc.Health(c.Context())
	if err != nil {
		return err
	}
	if health.Status() == entities.StatusUnavailable {
		c.Status(fiber.StatusServiceUnavailable)
	}
	return c.JSON(healthToJSON(health))
}

// Live answers GET /livez: this process runs and needs no restart.
func (h *Shards) Live(c fiber.Ctx) error {
	return c.JSON(map[string]string{"status": "ok"})
}

// Ready answers GET /readyz: whether a load balancer should send requests here,
// and which shards it will miss.
func (h *Shards) Ready(c fiber.Ctx) error {
	if h.draining.Load() {
		return problems.Draining.Because("the server is draining")
	}
	health, err := h.svc.Health(c.Context())
	if err != nil {
		return err
	}
	if health.Status() == entities.StatusUnavailable {
		return problems.NoShard.Because("no shard serves")
	}
	return c.JSON(readyToJSON(health))
}

func statsToJSON(counts entities.ShardCounts, maxAge time.Duration) statsJSON {
	stats := statsJSON{
		TotalUsers: counts.Total(),
		ShardCount: len(counts.Shards) + len(counts.Missing),
		Shards:     make([]shardCountJSON, 0, len(counts.Shards)),
		CountedAt:  timeToJSON(counts.CountedAt),
		MaxAgeMS:   maxAge.Milliseconds(),
	}
	for _, s := range counts.Shards {
		stats.Shards = append(stats.Shards, shardCountJSON{s.Shard, s.Users})
	}
	return stats
}

func readyToJSON(health entities.Health) readyJSON {
	body := readyJSON{Status: "ok"}
	for _, s := range health.Shards {
		if status := s.Status(); status != entities.StatusOK {
			body.Shards = append(body.Shards, shardSummaryJSON{s.Shard, string(status)})
		}
	}
	return body
}

func healthToJSON(health entities.Health) healthJSON {
	body := healthJSON{
		Status:    string(health.Status()),
		Shards:    make([]shardHealthJSON, 0, len(health.Shards)),
		CheckedAt: timeToJSON(health.CheckedAt),
	}
	for _, s := range health.Shards {
		shard := shardHealthJSON{
			ShardName: s.Shard,
			Status:    string(s.Status()),
			Primary:   serverJSON{Status: string(s.Primary.Status), Error: s.Primary.Fault},
		}
		if s.Replica != nil {
			shard.Replica = &serverJSON{Status: string(s.Replica.Status), Error: s.Replica.Fault, LagBytes: s.Lag}
		}
		if s.Slot != nil {
			shard.Slot = &slotJSON{WALStatus: s.Slot.WALStatus, Active: s.Slot.Active}
		}
		body.Shards = append(body.Shards, shard)
	}
	return body
}
