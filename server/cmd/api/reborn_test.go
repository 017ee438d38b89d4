package main

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/freshness"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/requestlog"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// TestRebornReplicaIsNotListedFrom kills a replica of which much was proven. The
// one that comes back may be behind that; while nobody has looked at it again,
// no list is read from it, not even when there is no other server.
func TestRebornReplicaIsNotListedFrom(t *testing.T) {
	cfg := testcluster.Open(t)
	pooler := testcluster.NewProxy(t, cfg.Shards[0].Pooler)
	cfg.Shards[0].Pooler = pooler.Addr
	conn := func(addr string) *pgx.ConnConfig {
		c, err := pgx.ParseConfig(cfg.DatabaseURL(addr, cfg.DBUser, cfg.DBPassword).String())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	var nodes []shard.Node
	var sampled []freshness.Shard
	for _, s := range cfg.Shards {
		nodes = append(nodes, shard.Node{Name: s.Name, Primary: conn(s.Pooler), Replica: conn(s.Replica)})
		sampled = append(sampled, freshness.Shard{Name: s.Name, Primary: conn(s.Pooler), Replica: conn(s.Replica)})
	}
	table, err := freshness.CreatePrivate(len(nodes), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = table.Close() })
	router, err := shard.NewRouter(nodes, shard.Limits{WriteOpen: 2, ReadOpen: 2, ReadIdle: 2, ReadTimeout: 5 * time.Second, MaxLag: time.Hour, Table: table})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = router.Close() })
	query := func(db *gorm.DB, limit int) (ids []string, err error) {
		err = db.Table("users").Limit(limit).Pluck("id", &ids).Error
		return ids, err
	}
	lists := shard.NewLists(router.All()[0], query, nil, func(int) int { return 1 }) // nobody asks beside
	read := func() (servedBy string, err error) {
		ctx, event := requestlog.With(t.Context())
		_, _, err = lists.Get(ctx, entities.Moment{}, 1)
		return event.ServedBy(), err
	}

	sampling, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		freshness.NewSampler(table, sampled, slog.New(slog.DiscardHandler)).Run(sampling)
		close(ended)
	}()
	await(t, func() error {
		if by, err := read(); err != nil || by != "shard-0/replica" {
			return fmt.Errorf("served by %s, %w", by, err)
		}
		return nil
	})
	stop()
	<-ended
	pooler.Stop()
	if by, err := read(); err != nil || by != "shard-0/replica" {
		t.Errorf("without the primary: served by %s, %v; want the replica, which has what it had", by, err)
	}

	killReplica(t, 0)
	await(t, func() error { // until it is back
		c, err := pgx.ConnectConfig(t.Context(), conn(cfg.Shards[0].Replica))
		if err != nil {
			return err
		}
		return c.Close(t.Context())
	})
	if by, err := read(); err == nil || by != "" {
		t.Errorf("served by %s, %v; want nobody", by, err)
	}
	pooler.Start(t)
	await(t, func() error { // until it is seen to be back
		if by, err := read(); err != nil || by != "shard-0/primary" {
			return fmt.Errorf("with the primary: served by %s, %w", by, err)
		}
		return nil
	})
}
