package shard

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
)

// One round trip each. WAL positions are compared as byte counts from 0/0.
const (
	primaryProbe = `
SELECT pg_is_in_recovery(), to_regclass('users') IS NOT NULL,
       CASE WHEN pg_is_in_recovery() THEN 0 ELSE pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') END::bigint,
       coalesce(s.wal_status, 'missing'), coalesce(s.active, false)
  FROM (SELECT) AS one LEFT JOIN pg_replication_slots AS s ON s.slot_name = ?`

	replicaProbe = `
SELECT pg_is_in_recovery(), to_regclass('users') IS NOT NULL,
       coalesce(pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0'), 0)::bigint`
)

// SlotName is the replication slot of a shard's replica on its primary.
func SlotName(shard string) string { return strings.ReplaceAll(shard, "-", "_") + "_replica" }

// Probe looks at every server of every shard, all at once, for at most the
// timeout. It cannot fail: not to answer is a finding.
func (r *Router) Probe(ctx context.Context, timeout time.Duration) []entities.ShardHealth {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	found := make([]entities.ShardHealth, len(r.shards))
	var wg sync.WaitGroup
	for i, s := range r.shards {
		wg.Go(func() { found[i] = s.probe(ctx) })
	}
	wg.Wait()
	return found
}

func (s *Shard) probe(ctx context.Context) entities.ShardHealth {
	health := entities.ShardHealth{Shard: s.Name}
	if s.Replica == nil {
		health.Primary, _, _ = s.probePrimary(ctx)
		return health
	}
	var (
		wg                sync.WaitGroup
		replica           entities.ServerHealth
		slot              *entities.SlotHealth
		written, replayed int64
	)
	wg.Go(func() { replica, replayed = s.probeReplica(ctx) })
	health.Primary, slot, written = s.probePrimary(ctx)
	wg.Wait()

	health.Replica, health.Slot = &replica, slot
	if health.Primary.Status == entities.StatusOK && replica.Status == entities.StatusOK {
		// The replica may have been asked the later of the two.
		lag := max(0, written-replayed)
		health.Lag = &lag
	}
	return health
}

func (s *Shard) probePrimary(ctx context.Context) (health entities.ServerHealth, slot *entities.SlotHealth, written int64) {
	var (
		inRecovery, migrated bool
		found                entities.SlotHealth
	)
	if s.primaryGate.shut.Load() {
		return unavailable(notAsked), nil, 0
	}
	err := s.Primary.WithContext(ctx).Raw(primaryProbe, SlotName(s.Name)).Row().
		Scan(&inRecovery, &migrated, &written, &found.WALStatus, &found.Active)
	switch {
	case err != nil:
		return unavailable(fault(err)), nil, 0
	case inRecovery:
		return unavailable("is in recovery: a replica stands where the primary should"), nil, 0
	case !migrated:
		return unavailable("has no users table: run make migrate-up"), &found, written
	}
	return entities.ServerHealth{Status: entities.StatusOK}, &found, written
}

func (s *Shard) probeReplica(ctx context.Context) (health entities.ServerHealth, replayed int64) {
	var inRecovery, migrated bool
	if s.replicaGate.shut.Load() {
		return unavailable(notAsked), 0
	}
	err := s.Replica.WithContext(ctx).Raw(replicaProbe).Row().Scan(&inRecovery, &migrated, &replayed)
	switch {
	case err != nil:
		return unavailable(fault(err)), 0
	case !inRecovery:
		return unavailable("is not in recovery: it is no replica"), 0
	case !migrated:
		return unavailable("has no users table yet"), replayed
	}
	return entities.ServerHealth{Status: entities.StatusOK}, replayed
}

// notAsked is what is wrong with a server behind a shut gate, which looks more often than we do.
const notAsked = "does not answer, and is looked for"

func unavailable(fault string) entities.ServerHealth {
	return entities.ServerHealth{Status: entities.StatusUnavailable, Fault: fault}
}

// fault puts an error into words of ours: a driver's may hold addresses and names.
func fault(err error) string {
	var pgErr *pgconn.PgError
	var connectErr *pgconn.ConnectError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "does not answer in time"
	case errors.As(err, &pgErr) && strings.HasPrefix(pgErr.Code, "28"):
		return "refuses our user or password"
	case errors.As(err, &pgErr) && pgErr.Code == "3D000":
		return "has no such database"
	case errors.As(err, &pgErr) && strings.HasPrefix(pgErr.Code, "53"):
		return "is out of connections, memory or disk"
	case errors.As(err, &pgErr) && strings.HasPrefix(pgErr.Code, "57P"):
		return "is starting up or shutting down"
	case errors.As(err, &connectErr):
		return "cannot be connected to"
	case errors.Is(err, gorm.ErrRecordNotFound):
		return "answered with nothing"
	default:
		return "answered with an error"
	}
}
