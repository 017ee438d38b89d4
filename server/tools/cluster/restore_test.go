package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/freshness"
	"github.com/messenger-clone/messenger-clone-api/server/internal/persistence/repositories"
	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/basebackup"
	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/progress"
)

// TestRestore makes a backup while users are created, change their addresses across shards and are deleted; loses everything; restores.
// Every user who was acknowledged before the backup began is there, and whoever carries an address has the claim to it.
func TestRestore(t *testing.T) {
	shards, rounds := 2, 1
	if os.Getenv("TEST_LONG") != "" {
		shards, rounds = 5, 5
	}
	c := startTestCluster(t, shards)
	if err := c.migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for round := range rounds {
		load := startLoad(t, c)
		load.await(t, 300)
		if err := c.failover(t.Context(), "1"); err != nil { // the roles come back as they were made
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), "backup")
		display := progress.New(os.Stderr)
		known := load.acknowledged()
		backup, err := basebackup.Create(t.Context(), basebackup.SourceOf(c.cfg), dir, display)
		display.Stop()
		if err != nil {
			t.Fatal(err)
		}
		load.await(t, 300) // the cut is in the middle
		load.stop()
		t.Logf("round %d: %s; %d users acknowledged before; writes waited for %d ms", round, backup, len(known), backup.BlockedMS)

		wipe(t, c, round)
		t.Setenv("YES", "")
		if round > 0 { // with data there and no terminal, nothing happens without a word
			if err := c.restore(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "YES=1") {
				t.Fatalf("got %v, want a refusal that names YES=1", err)
			}
			t.Setenv("YES", "1")
		}
		if err := c.restore(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
		wantKnown(t, c, known)
	}
}

// wipe loses everything, or, in later rounds, what a restore has to ask about: the shards stay as they are.
func wipe(t *testing.T, c *cluster, round int) {
	t.Helper()
	if round > 0 {
		return
	}
	if err := c.down(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"data", "conf", "shards"} {
		if err := os.RemoveAll(c.path(name)); err != nil {
			t.Fatal(err)
		}
	}
}

// load is writers as the server's own.
type load struct {
	t       *testing.T
	end     context.CancelFunc
	writers sync.WaitGroup

	mu    sync.Mutex
	users map[uuid.UUID]entities.Email // to whom nothing happens any more
}

func startLoad(t *testing.T, c *cluster) *load {
	t.Helper()
	var nodes []shard.Node
	for _, s := range c.cfg.Shards {
		pooler, err := pgx.ParseConfig(c.cfg.DatabaseURL(s.Pooler, c.cfg.DBUser, c.cfg.DBPassword).String())
		if err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, shard.Node{Name: s.Name, Primary: pooler})
	}
	table, err := freshness.CreatePrivate(len(nodes), busy)
	if err != nil {
		t.Fatal(err)
	}
	router, err := shard.NewRouter(nodes, shard.Limits{WriteOpen: 8, WriteIdle: 8, ReadOpen: 1, ReadIdle: 1, Table: table})
	if err != nil {
		t.Fatal(err)
	}
	users := repositories.NewShardedUsers(router, time.Second)
	ctx, end := context.WithCancel(context.Background())
	l := &load{t: t, end: end, users: make(map[uuid.UUID]entities.Email)}
	for range 6 {
		l.writers.Go(func() {
			for ctx.Err() == nil {
				l.write(ctx, users)
			}
		})
	}
	t.Cleanup(func() {
		l.stop()
		if err := errors.Join(router.Close(), table.Close()); err != nil {
			t.Error(err)
		}
	})
	return l
}

func (l *load) stop() {
	l.end()
	l.writers.Wait()
}

// write makes a user, who may then change their address or be deleted. A write that is cut off at the end
// is nobody's.
func (l *load) write(ctx context.Context, users *repositories.ShardedUsers) {
	email := entities.Email(uuid.NewString() + "@example.com")
	what := rand.IntN(4)
	id, err := users.NewID(email)
	if err != nil {
		l.t.Error(err)
		return
	}
	now := entities.CreatedAt(id)
	if err := users.Create(ctx, entities.User{ID: id, Name: "Ada", Email: email, CreatedAt: now, UpdatedAt: now, Version: 1}); err != nil {
		l.failed(ctx, err)
		return
	}
	switch what {
	case 0, 1:
		other := entities.Email(uuid.NewString() + "@example.org") // mostly another shard's
		if _, err := users.Update(ctx, id, entities.Changes{Email: &other}, nil, time.Now()); err != nil {
			l.failed(ctx, err)
			return
		}
		l.note(id, other)
	case 2:
		if err := users.Delete(ctx, id, nil); err != nil {
			l.failed(ctx, err)
		}
	default:
		l.note(id, email)
	}
}

func (l *load) failed(ctx context.Context, err error) {
	if ctx.Err() == nil {
		l.t.Errorf("a write failed: %v", err)
	}
}

func (l *load) note(id uuid.UUID, email entities.Email) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.users[id] = email
}

// await returns when so many more writes have been acknowledged.
func (l *load) await(t *testing.T, more int) {
	t.Helper()
	l.mu.Lock()
	want := len(l.users) + more
	l.mu.Unlock()
	eventually(t, fmt.Sprint(more, " users"), func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.users) < want {
			return fmt.Errorf("%d users, want %d", len(l.users), want)
		}
		return nil
	})
}

// acknowledged is who is there for good by now.
func (l *load) acknowledged() map[uuid.UUID]entities.Email {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.users)
}

// wantKnown reads all shards: the known users are there, each on one shard, and everybody has the claim to their address.
func wantKnown(t *testing.T, c *cluster, known map[uuid.UUID]entities.Email) {
	t.Helper()
	carried, claimed := map[uuid.UUID]string{}, map[string]uuid.UUID{}
	for i := range c.cfg.Shards {
		conn, err := c.connectAs(t.Context(), c.cfg.Shards[i].Primary, c.cfg.Shards[i].Database, c.cfg.DBOwner, string(c.cfg.DBOwnerPassword))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(context.WithoutCancel(t.Context()))
		each(t, conn, "SELECT id, email_key FROM users", func(id uuid.UUID, key string) {
			if _, twice := carried[id]; twice {
				t.Errorf("%s is on two shards", id)
			}
			carried[id] = key
		})
		each(t, conn, "SELECT user_id, email_key FROM email_claims", func(id uuid.UUID, key string) { claimed[key] = id })
	}
	for id, email := range known {
		if carried[id] != email.Key() {
			t.Errorf("%s, acknowledged before the backup, carries %q, want %s", id, carried[id], email)
		}
	}
	for id, key := range carried {
		if claimed[key] != id {
			t.Errorf("%s carries %s, whose claim is %s's", id, key, claimed[key])
		}
	}
	if len(known) < 50 || len(carried) < len(known) {
		t.Errorf("%d users, %d of them known from before: too few to say anything", len(carried), len(known))
	}
}

func each(t *testing.T, conn *pgx.Conn, query string, do func(id uuid.UUID, key string)) {
	t.Helper()
	rows, err := conn.Query(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	var id uuid.UUID
	var key string
	if _, err := pgx.ForEachRow(rows, []any{&id, &key}, func() error { do(id, key); return nil }); err != nil {
		t.Fatal(err)
	}
}
