package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// TestUsersAreWhereTheRingSays creates users from many clients at once, 10,000 in
// the long form, and then looks into every database for them.
func TestUsersAreWhereTheRingSays(t *testing.T) {
	cfg := testcluster.Open(t)
	// Every client of the first moment opens a connection, and SCRAM's hashes take long under the race detector on a machine that
	// is busy: this test is about where users are, not about how soon.
	s := start(t, "DB_CONNECT_TIMEOUT=15s", "REQUEST_TIMEOUT=25s", "DB_WRITE_MAX_OPEN_CONNS=24")
	ring, err := shard.NewRing(shardNames(cfg))
	if err != nil {
		t.Fatal(err)
	}
	total := 3_000
	if os.Getenv("TEST_LONG") != "" {
		total = 10_000
	}

	created := make([]user, total)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < total; i = int(next.Add(1)) - 1 {
				status, body, err := s.send("POST", "/api/v1/users/", createBody(fmt.Sprintf("User %d", i), fmt.Sprintf("User%d@Example.com", i)))
				if err != nil || status != 201 || json.Unmarshal(body, &created[i]) != nil {
					t.Errorf("user %d: got %d %s, %v; want 201", i, status, body, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}

	want := make(map[string][]string) // by shard, "id email", sorted
	for _, u := range created {
		owner := ring.Owner(u.ID)
		if byEmail := ring.Owner(strings.ToLower(u.Email)); byEmail != owner {
			t.Errorf("user %s is on %s, its address's owner is %s", u.ID, owner, byEmail)
		}
		want[owner] = append(want[owner], u.ID+" "+u.Email)
	}
	testcluster.AwaitReplicas(t, cfg)
	for i, sh := range cfg.Shards {
		slices.Sort(want[sh.Name])
		for server, conn := range map[string]*pgx.Conn{"primary": testcluster.Primary(t, cfg, i), "replica": testcluster.Replica(t, cfg, i)} {
			got := testcluster.MustQuery[string](t, conn, "SELECT id || ' ' || email FROM users")
			slices.Sort(got)
			if !slices.Equal(got, want[sh.Name]) {
				t.Errorf("%s's %s holds %d users, not exactly the %d that the ring gives it", sh.Name, server, len(got), len(want[sh.Name]))
			}
		}
		share := float64(len(want[sh.Name])) / float64(total)
		t.Logf("%s: %d users, %.2f %%", sh.Name, len(want[sh.Name]), 100*share)
		if share < 0.18 || share > 0.22 {
			t.Errorf("%s holds %.2f %% of the users, want 18 to 22", sh.Name, 100*share)
		}
	}

	stats := must[struct {
		Total  int `json:"total_users"`
		Shards []struct {
			Name  string `json:"shard_name"`
			Count int    `json:"user_count"`
		}
	}](t, s, "GET", "/api/v1/shards/stats", "", 200)
	if stats.Total != total || len(stats.Shards) != len(cfg.Shards) {
		t.Errorf("/api/v1/shards/stats says %d users on %d shards, want %d on %d", stats.Total, len(stats.Shards), total, len(cfg.Shards))
	}
	for _, sh := range stats.Shards {
		if sh.Count != len(want[sh.Name]) {
			t.Errorf("/api/v1/shards/stats says %d users on %s, want %d", sh.Count, sh.Name, len(want[sh.Name]))
		}
	}
	testPages(t, s, created)
}

// testPages reads the newest users page by page across the shards.
func testPages(t *testing.T, s *server, created []user) {
	t.Helper()
	slices.SortFunc(created, func(a, b user) int {
		return -cmp.Or(cmp.Compare(a.CreatedAt, b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	for _, offset := range []int{0, 100, len(created) / 2, len(created) - 100, len(created) - 50, len(created)} {
		got := must[[]user](t, s, "GET", fmt.Sprintf("/api/v1/users/?limit=100&offset=%d", offset), "", 200)
		if want := created[offset:min(offset+100, len(created))]; !slices.Equal(got, want) {
			t.Errorf("offset %d: got %d users, not the %d that were created then", offset, len(got), len(want))
		}
	}
}

// TestEveryAddressOnce lets clients race for the same addresses.
func TestEveryAddressOnce(t *testing.T) {
	cfg := testcluster.Open(t)
	s := start(t)
	const addresses, clients = 50, 8
	var won [addresses]atomic.Int64
	var wg sync.WaitGroup
	for client := range clients {
		wg.Go(func() {
			for i := range addresses {
				email := fmt.Sprintf("user%d@example.com", i)
				if client%2 == 1 {
					email = strings.ToUpper(email)
				}
				status, body, err := s.send("POST", "/api/v1/users", createBody("n", email))
				switch {
				case err == nil && status == 201:
					won[i].Add(1)
				case err != nil || status != 409:
					t.Errorf("got %d %s, %v; want 201 or 409", status, body, err)
				}
			}
		})
	}
	wg.Wait()
	for i := range won {
		if got := won[i].Load(); got != 1 {
			t.Errorf("address %d was given %d times, want once", i, got)
		}
	}
	total := 0
	for i := range cfg.Shards {
		total += len(testcluster.MustQuery[string](t, testcluster.Primary(t, cfg, i), "SELECT email FROM users"))
	}
	if total != addresses {
		t.Errorf("the shards hold %d users, want %d", total, addresses)
	}
}

// TestLifeOfAUser reads each change back, however far the replicas lag.
func TestLifeOfAUser(t *testing.T) {
	cfg := testcluster.Open(t)
	s := start(t)
	for i := range 20 {
		u := must[user](t, s, "POST", "/api/v1/users/", createBody("Ada", fmt.Sprintf("ada%d@example.com", i)), 201)
		path := "/api/v1/users/" + u.ID
		if got := must[user](t, s, "GET", path, "", 200); got != u {
			t.Errorf("created %+v, then read %+v", u, got)
		}
		changed := must[user](t, s, "PUT", path+"/", `{"name":"Augusta"}`, 200)
		if changed.Name != "Augusta" || changed.Email != u.Email || changed.CreatedAt != u.CreatedAt || changed.UpdatedAt <= u.UpdatedAt {
			t.Errorf("changed the name of %+v and got %+v", u, changed)
		}
		await(t, func() error {
			if got := must[user](t, s, "GET", path, "", 200); got != changed {
				return fmt.Errorf("still reads %+v, want %+v", got, changed)
			}
			return nil
		})
		must[any](t, s, "DELETE", path, "", 204)
		must[any](t, s, "DELETE", path, "", 404)
		testcluster.AwaitReplicas(t, cfg)
		must[any](t, s, "GET", path, "", 404)
		must[any](t, s, "PUT", path, `{"name":"Nobody"}`, 404)
	}
}
