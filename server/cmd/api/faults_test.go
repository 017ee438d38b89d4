package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/problems"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

type health struct {
	Status string
	Shards []struct {
		Name             string `json:"shard_name"`
		Status           string
		Primary, Replica struct{ Status, Error string }
	}
}

// awaitHealth waits for a status of the whole and of shard 0. When all is well,
// every worker has seen it.
func awaitHealth(t testing.TB, s *server, whole, first string, code int) {
	t.Helper()
	await(t, func() error {
		status, body, err := s.send("GET", "/health", "")
		var h health
		if err != nil || json.Unmarshal(body, &h) != nil || status != code || h.Status != whole || h.Shards[0].Status != first {
			return fmt.Errorf("/health: %d %s, %w; want %d with %s, shard-0 %s", status, body, err, code, whole, first)
		}
		shut := s.matching(func(l logLine) bool { return l.Msg == "server is no longer asked" })
		opened := s.matching(func(l logLine) bool { return l.Msg == "server is asked again" })
		if whole == "ok" && len(shut) > len(opened) {
			return fmt.Errorf("a worker does not ask %d servers", len(shut)-len(opened))
		}
		return nil
	})
}

// TestFaults takes servers of shard 0 away, one by one, and gives them back.
func TestFaults(t *testing.T) {
	cfg := testcluster.Open(t)
	pooler := testcluster.NewProxy(t, cfg.Shards[0].Pooler)
	replica := testcluster.NewProxy(t, cfg.Shards[0].Replica)
	s := start(t, "SHARD_0_WRITE_ADDR="+pooler.Addr, "SHARD_0_REPLICA_ADDR="+replica.Addr)
	ring, err := shard.NewRing(shardNames(cfg))
	if err != nil {
		t.Fatal(err)
	}
	kept, other := createOn(t, s, ring, "shard-0"), createOn(t, s, ring, "shard-1")
	s.awaitServedBy(t, "/api/v1/users/"+kept.ID, "shard-0/replica")
	awaitHealth(t, s, "ok", "ok", 200)

	// Without PgBouncer: reads as before, writes to this shard a clear 503.
	pooler.Stop()
	awaitHealth(t, s, "degraded", "degraded", 200)
	if got := must[user](t, s, "GET", "/api/v1/users/"+kept.ID, "", 200); got != kept {
		t.Errorf("got %+v, want %+v", got, kept)
	}
	for range 5 {
		p := must[problems.Body](t, s, "PUT", "/api/v1/users/"+kept.ID, `{"name":"Lost"}`, 503)
		if p.Type != problems.ShardUnavailable.URL() || !slices.Equal(p.Shards, []string{"shard-0"}) {
			t.Errorf("got %+v, want the shard named", p)
		}
	}
	must[user](t, s, "PUT", "/api/v1/users/"+other.ID, `{"name":"Other"}`, 200)
	must[any](t, s, "GET", "/readyz", "", 200)
	refusesBeforeItRecords(t, s, cfg, ring)
	pooler.Start(t)
	awaitHealth(t, s, "ok", "ok", 200)
	if got := must[user](t, s, "GET", "/api/v1/users/"+kept.ID, "", 200); got != kept {
		t.Errorf("after the fault: %+v, want %+v", got, kept)
	}
	must[user](t, s, "PUT", "/api/v1/users/"+kept.ID, `{"name":"Found"}`, 200)

	// Without the replica: everything works, through PgBouncer.
	replica.Stop()
	awaitHealth(t, s, "degraded", "degraded", 200)
	if got := must[user](t, s, "GET", "/api/v1/users/"+kept.ID, "", 200); got.Name != "Found" {
		t.Errorf("without its replica shard 0 reads %+v", got)
	}
	if users := must[[]user](t, s, "GET", "/api/v1/users/", "", 200); len(users) == 0 {
		t.Error("without a replica the list is empty")
	}
	must[any](t, s, "GET", "/api/v1/shards/stats", "", 200)

	// Without both: this shard's users and what spans all shards are 503.
	pooler.Stop()
	awaitHealth(t, s, "degraded", "unavailable", 200)
	for _, path := range []string{"/api/v1/users/" + kept.ID, "/api/v1/users/"} {
		if p := must[problems.Body](t, s, "GET", path, "", 503); p.Type != problems.ShardUnavailable.URL() || !slices.Equal(p.Shards, []string{"shard-0"}) {
			t.Errorf("%s: got %+v, want the shard named", path, p)
		}
	}
	await(t, func() error { // a count from before may be given again for a second
		status, body, err := s.send("GET", "/api/v1/shards/stats", "")
		if err != nil || status != 503 || !bytes.Contains(body, []byte("shard-0 does not answer")) {
			return fmt.Errorf("/api/v1/shards/stats: %d %s, %w; want 503 naming shard-0", status, body, err)
		}
		return nil
	})
	must[user](t, s, "GET", "/api/v1/users/"+other.ID, "", 200)

	pooler.Start(t)
	replica.Start(t)
	awaitHealth(t, s, "ok", "ok", 200)
	if lines := s.matching(func(l logLine) bool { return l.Status == 500 }); len(lines) > 0 {
		t.Errorf("a fault was answered with 500: %+v", lines)
	}
}

// refusesBeforeItRecords checks that nothing is written elsewhere of a create with a key
// whose user would be shard-0's, which is away.
func refusesBeforeItRecords(t *testing.T, s *server, cfg config.Config, ring *shard.Ring) {
	t.Helper()
	var primaries []*pgx.Conn
	for i := range cfg.Shards {
		primaries = append(primaries, testcluster.Primary(t, cfg, i))
	}
	recorded := func() (n int64) {
		for _, conn := range primaries {
			n += testcluster.MustQuery[int64](t, conn, "SELECT count(*) FROM idempotency_keys")[0]
		}
		return n
	}
	number := 0
	next := func() (email, key string) {
		for ; ; number++ {
			email, key = fmt.Sprintf("keyed%d@example.com", number), fmt.Sprintf("key-%d", number)
			once := entities.NewOnce(entities.IdempotencyKey(key), "Ada", entities.Email(email), time.Hour)
			if ring.Owner(email) == "shard-0" && ring.Owner(once.Key.String()) != "shard-0" {
				number++
				return email, key
			}
		}
	}
	for range 5 {
		await(t, func() error { // until each worker knows
			before := recorded()
			email, key := next()
			status, body, err := s.send("POST", listPath, createBody("Ada", email), "Idempotency-Key", key)
			if err != nil || status != 503 || !bytes.Contains(body, []byte("shard-0")) {
				t.Fatalf("got %d %s, %v; want 503 naming shard-0", status, body, err)
			}
			if after := recorded(); after != before {
				return fmt.Errorf("%d records were made of a create that was refused", after-before)
			}
			return nil
		})
	}
}

// TestStartWithoutAShard starts the server before the servers of a shard.
func TestStartWithoutAShard(t *testing.T) {
	cfg := testcluster.Open(t)
	pooler := testcluster.NewProxy(t, cfg.Shards[0].Pooler)
	replica := testcluster.NewProxy(t, cfg.Shards[0].Replica)
	pooler.Stop()
	replica.Stop()
	s := start(t, "SHARD_0_WRITE_ADDR="+pooler.Addr, "SHARD_0_REPLICA_ADDR="+replica.Addr)
	ring, err := shard.NewRing(shardNames(cfg))
	if err != nil {
		t.Fatal(err)
	}
	awaitHealth(t, s, "degraded", "unavailable", 200)
	if ready := must[health](t, s, "GET", "/readyz", "", 200); len(ready.Shards) != 1 || ready.Shards[0].Name != "shard-0" || ready.Shards[0].Status != "unavailable" {
		t.Errorf("/readyz says %+v, want shard-0 named as unavailable", ready)
	}
	created := 0
	for i := range 50 {
		email := fmt.Sprintf("early%d@example.com", i)
		if ring.Owner(email) != "shard-0" {
			must[user](t, s, "POST", "/api/v1/users/", createBody("Ada", email), 201)
			created++
			continue
		}
		began := time.Now()
		p := must[problems.Body](t, s, "POST", "/api/v1/users/", createBody("Ada", email), 503)
		if took := time.Since(began); took > 2*time.Second || !slices.Equal(p.Shards, []string{"shard-0"}) {
			t.Errorf("after %s: %+v, want the shard named at once", took, p)
		}
	}
	if created == 0 || created == 50 {
		t.Fatalf("%d of 50 are of other shards: the test shows nothing", created)
	}
	pooler.Start(t)
	replica.Start(t)
	awaitHealth(t, s, "ok", "ok", 200)
	createOn(t, s, ring, "shard-0")
}

// TestSilentReplica has a replica that takes connections and says nothing: as
// nothing is known of it, no read waits for it.
func TestSilentReplica(t *testing.T) {
	cfg := testcluster.Open(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	s := start(t, "SHARD_0_REPLICA_ADDR="+silent.Addr().String(), "DB_READ_TIMEOUT=4s", "DB_CONNECT_TIMEOUT=1s")
	ring, err := shard.NewRing(shardNames(cfg))
	if err != nil {
		t.Fatal(err)
	}
	u := createOn(t, s, ring, "shard-0")
	began := time.Now()
	for _, path := range []string{"/api/v1/users/" + u.ID, "/api/v1/users/"} {
		if got := s.servedBy(t, path); !strings.HasPrefix(got, "shard-0/primary") {
			t.Errorf("%s is served by %s, want shard-0's primary", path, got)
		}
	}
	if took := time.Since(began); took >= 4*time.Second {
		t.Errorf("the reads took %s: they waited for the replica", took)
	}
}

// TestWithoutSharding runs on shard 0 alone, with and without its replica. The
// shard says meanwhile that it is the only one; as one of five it is refused.
func TestWithoutSharding(t *testing.T) {
	for _, replica := range []string{"", "none"} {
		t.Run("replica="+replica, func(t *testing.T) {
			cfg := testcluster.Open(t)
			beAlone(t, cfg)
			settings := []string{"SHARDING_ENABLED=false"}
			if replica != "" {
				settings = append(settings, "SHARD_0_REPLICA_ADDR="+replica)
			}
			s := start(t, settings...)
			const total = 20
			for i := range total {
				u := must[user](t, s, "POST", "/api/v1/users/", createBody("n", fmt.Sprintf("u%d@example.com", i)), 201)
				must[user](t, s, "GET", "/api/v1/users/"+u.ID, "", 200)
			}
			stored := testcluster.MustQuery[string](t, testcluster.Primary(t, cfg, 0), "SELECT email FROM users")
			if len(stored) != total {
				t.Errorf("the one database holds %d users, want %d", len(stored), total)
			}
			awaitHealth(t, s, "ok", "ok", 200)
		})
	}
}

// beAlone has shard 0 be a database without a ring until the test ends.
func beAlone(t *testing.T, cfg config.Config) {
	t.Helper()
	conn := testcluster.Primary(t, cfg, 0)
	restore := testcluster.MustQuery[string](t, conn, `SELECT format('UPDATE shard_identity SET shard_count = %s, virtual_nodes = %s, ring_checksum = %L',
		shard_count, virtual_nodes, ring_checksum) FROM shard_identity`)[0]
	testcluster.MustExec(t, conn, "UPDATE shard_identity SET shard_count = 1, virtual_nodes = 0, ring_checksum = ''")
	t.Cleanup(func() {
		conn, err := pgx.Connect(context.Background(), cfg.DatabaseURL(cfg.Shards[0].Primary, cfg.DBOwner, cfg.DBOwnerPassword).String())
		if err == nil {
			_, err = conn.Exec(context.Background(), restore)
			_ = conn.Close(context.Background())
		}
		if err != nil {
			t.Error(err)
		}
	})
	testcluster.AwaitReplicas(t, cfg)
}
