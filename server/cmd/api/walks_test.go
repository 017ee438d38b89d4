package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/problems"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

const listPath = "/api/v1/users/"

// listed is one page, as a client gets it.
type listed struct {
	status   int
	body     string
	users    []user
	asOf     time.Time
	next     string // the path of the next page, "" at the end
	servedBy string
	header   http.Header
}

var nextLink = regexp.MustCompile(`<([^>]*)>; rel="next"`)

// list asks for a page, over a connection of its own: any worker may answer.
func (s *server) list(path string, headers ...string) (listed, error) {
	req, err := http.NewRequest(http.MethodGet, s.url+path, nil)
	if err != nil {
		return listed{}, err
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	req.Close = true
	res, err := s.client.Do(req)
	if err != nil {
		return listed{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return listed{}, err
	}
	page := listed{status: res.StatusCode, body: string(body), servedBy: res.Header.Get("X-Served-By"), header: res.Header}
	if res.StatusCode != http.StatusOK {
		return page, nil
	}
	if err := json.Unmarshal(body, &page.users); err != nil {
		return listed{}, err
	}
	if link := nextLink.FindStringSubmatch(res.Header.Get("Link")); link != nil {
		page.next = link[1]
	}
	page.asOf, err = time.Parse(time.RFC3339Nano, res.Header.Get("As-Of"))
	return page, err
}

// mustList asks until there is a page: on a loaded machine a shard may be late.
func (s *server) mustList(t testing.TB, path string, headers ...string) (page listed) {
	t.Helper()
	await(t, func() (err error) {
		page, err = s.list(path, headers...)
		if err == nil && page.status != http.StatusOK {
			err = fmt.Errorf("%d %s", page.status, page.body)
		}
		return err
	})
	return page
}

func withLimit(path string, limit int) string {
	return regexp.MustCompile(`limit=\d+`).ReplaceAllString(path, fmt.Sprintf("limit=%d", limit))
}

// every is what X-Served-By says if each shard's server of that kind answered.
func every(cfg config.Config, server string) string {
	var list []string
	for _, name := range shardNames(cfg) {
		list = append(list, name+"/"+server)
	}
	return strings.Join(list, ", ")
}

// created are the users that clients were told of, and when.
type created struct {
	mu    sync.Mutex
	users map[string]time.Time // by id
}

func (c *created) add(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.users[id] = time.Now()
}

// before are those of whom a client was told by then.
func (c *created) before(asOf time.Time) (ids []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, at := range c.users {
		if at.Before(asOf) {
			ids = append(ids, id)
		}
	}
	return ids
}

// TestWalksWhileUsersComeAndGo walks through the list again and again, while
// users are created and deleted, replicas are a second late, and one of them is
// killed in the middle of each walk. Everybody who was there from before the
// walk's As-Of is seen, and nobody twice.
func TestWalksWhileUsersComeAndGo(t *testing.T) {
	total, walks := 3_000, 3
	if os.Getenv("TEST_LONG") != "" {
		total, walks = 200_000, 3
	}
	cfg := testcluster.Open(t)
	ring, err := shard.NewRing(shardNames(cfg))
	if err != nil {
		t.Fatal(err)
	}
	ids := testcluster.Fill(t, cfg, ring.Owner, total)
	makeReplicasLate(t, cfg, "1s")
	s := start(t)
	s.awaitServedBy(t, listPath, every(cfg, "replica"))

	var stay, doomed []string
	for i, id := range ids {
		if i%3 == 0 {
			doomed = append(doomed, id.String())
		} else {
			stay = append(stay, id.String())
		}
	}
	rand.Shuffle(len(doomed), func(i, j int) { doomed[i], doomed[j] = doomed[j], doomed[i] })

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var writers, walkers sync.WaitGroup
	var posts, deletes, pages, byReplica, byPrimary atomic.Int64
	born := &created{users: map[string]time.Time{}}
	for w := range 2 {
		writers.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				status, body, err := s.send("POST", listPath, createBody("Late", fmt.Sprintf("late%d-%d@example.com", w, i)))
				var u user
				switch {
				case err == nil && status == 503: // what became of it is for other tests
				case err != nil || status != 201 || json.Unmarshal(body, &u) != nil:
					t.Errorf("create: %d %s, %v", status, body, err)
				default:
					born.add(u.ID)
					posts.Add(1)
				}
			}
		})
	}
	writers.Go(func() {
		for _, id := range doomed {
			if ctx.Err() != nil {
				return
			}
			if status, body, err := s.send("DELETE", path(id), ""); err != nil || status != 204 && status != 503 && status != 404 {
				t.Errorf("delete: %d %s, %v", status, body, err)
			}
			deletes.Add(1)
		}
	})

	walk := func(t *testing.T, n int, headers ...string) {
		t.Helper()
		begun := time.Now()
		page := s.mustList(t, listPath+"?limit=3", headers...)
		asOf := page.asOf
		if len(headers) > 0 && asOf.Before(begun) {
			t.Errorf("a strong walk is as of %s, begun at %s", asOf, begun)
		}
		want := append(born.before(asOf), stay...)
		seen, last := make(map[string]bool, len(want)), "g" // after every digit
		for number := 1; ; number++ {
			pages.Add(1)
			if strings.Contains(page.servedBy, "/replica") {
				byReplica.Add(1)
			}
			if strings.Contains(page.servedBy, "/primary") {
				byPrimary.Add(1)
			}
			for _, u := range page.users {
				if u.ID >= last {
					t.Fatalf("page %d shows %s after %s", number, u.ID, last)
				}
				last = u.ID
				seen[u.ID] = true
			}
			if !page.asOf.Equal(asOf) {
				t.Fatalf("page %d is as of %s, the first was as of %s", number, page.asOf, asOf)
			}
			if page.next == "" {
				break
			}
			if number == 10 {
				killReplica(t, n%len(cfg.Shards))
			}
			// Small steps through those who are new, where replicas differ most.
			if number > 60 {
				page.next = withLimit(page.next, 100)
			}
			page = s.mustList(t, page.next)
		}
		missed := slices.DeleteFunc(want, func(id string) bool { return seen[id] })
		if len(missed) > 0 {
			t.Errorf("walk %d %v as of %s, begun at %s, misses %d users who were there, such as %s", n, headers, asOf, begun, len(missed), missed[0])
		}
	}
	walkers.Go(func() {
		for n := range walks {
			walk(t, n)
		}
	})
	walkers.Go(func() {
		for n := range walks {
			walk(t, n+2, "Consistency", "strong")
		}
	})
	walkers.Wait()
	cancel()
	writers.Wait()
	t.Logf("%d walks of %d pages beside %d creates and %d deletes: replicas took part in %d pages, primaries in %d",
		2*walks, pages.Load(), posts.Load(), deletes.Load(), byReplica.Load(), byPrimary.Load())
	if byReplica.Load() == 0 || byPrimary.Load() == 0 || posts.Load() == 0 || deletes.Load() == 0 {
		t.Error("something did not take part: this proves nothing")
	}
}

// pauseReplay has the replicas replay nothing until resume is called, or the
// test ends.
func pauseReplay(t *testing.T, cfg config.Config) (resume func()) {
	t.Helper()
	var conns []*pgx.Conn
	for _, s := range cfg.Shards {
		conn, err := pgx.Connect(t.Context(), cfg.DatabaseURL(s.Replica, "postgres", config.Secret(os.Getenv("POSTGRES_PASSWORD"))).String())
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
		// Asked until it is so: what is being replayed may cancel a query.
		await(t, func() error {
			var state string
			if _, err := conn.Exec(t.Context(), "SELECT pg_wal_replay_pause()"); err != nil {
				return err
			}
			if err := conn.QueryRow(t.Context(), "SELECT pg_get_wal_replay_pause_state()").Scan(&state); err != nil {
				return err
			}
			if state != "paused" {
				return fmt.Errorf("replay is %s", state)
			}
			return nil
		})
	}
	resume = sync.OnceFunc(func() {
		for _, conn := range conns {
			ctx := context.WithoutCancel(t.Context())
			await(t, func() error { // what is replayed then may cancel this query, too
				_, err := conn.Exec(ctx, "SELECT pg_wal_replay_resume()")
				return err
			})
			_ = conn.Close(ctx)
		}
	})
	t.Cleanup(resume)
	return resume
}

// follow walks from a page to the end, and returns who was seen on the way and
// who served the pages after it.
func (s *server) follow(t testing.TB, page listed) (ids []string, servedBy []string) {
	t.Helper()
	for {
		for _, u := range page.users {
			ids = append(ids, u.ID)
		}
		if page.next == "" {
			return ids, servedBy
		}
		page = s.mustList(t, page.next)
		servedBy = append(servedBy, page.servedBy)
	}
}

// TestWalksPassLateReplicasBy has replicas that stand still. A walk that began
// on the primaries does not go on by them, however little they lag; one that
// began on them is as of when they stopped, and says so. A walk survives a
// restart of the server.
func TestWalksPassLateReplicasBy(t *testing.T) {
	cfg := testcluster.Open(t)
	s := start(t, "REPLICA_MAX_LAG=1h")
	var wrote time.Time // after the first of them was acknowledged
	create := func(name string) (ids []string) {
		for i := range 12 {
			ids = append(ids, must[user](t, s, "POST", listPath, createBody("n", fmt.Sprintf("%s%d@example.com", name, i)), 201).ID)
			if i == 0 {
				wrote = time.Now()
			}
		}
		slices.Reverse(ids)
		return ids
	}
	early := create("early")
	testcluster.AwaitReplicas(t, cfg)
	await(t, func() error { // until everybody knows that
		if page := s.mustList(t, listPath); page.servedBy != every(cfg, "replica") || len(page.users) != len(early) {
			return fmt.Errorf("%d users by %s", len(page.users), page.servedBy)
		}
		return nil
	})
	resume := pauseReplay(t, cfg)
	late := create("late")

	plain := s.mustList(t, listPath+"?limit=2")
	if plain.servedBy != every(cfg, "replica") || plain.asOf.After(wrote) { // until then replicas that stand still have everything
		t.Errorf("a page by %s as of %s; replicas lack what was written by %s", plain.servedBy, plain.asOf, wrote)
	}
	if got, by := s.follow(t, plain); !slices.Equal(got, early) || slices.Contains(by, every(cfg, "primary")) {
		t.Errorf("a walk on replicas sees %d users by %s, want the %d of before", len(got), by, len(early))
	}

	strong := s.mustList(t, listPath+"?limit=2", "Consistency", "strong")
	everybody := slices.Concat(late, early)
	got, by := s.follow(t, strong)
	if !slices.Equal(got, everybody) {
		t.Errorf("a walk that began on the primaries sees %d users, want all %d", len(got), len(everybody))
	}
	for _, servers := range by {
		if servers != every(cfg, "primary") {
			t.Errorf("a later page is served by %s, which are behind the first", servers)
		}
	}

	// Another server knows nothing of the first's clock, nor of who is late.
	if code := s.stop(t, os.Interrupt); code != 0 {
		t.Errorf("exit code %d", code)
	}
	s = start(t, "REPLICA_MAX_LAG=1h")
	if got, _ := s.follow(t, strong); !slices.Equal(got, everybody) {
		t.Errorf("after a restart the walk sees %d users, want all %d", len(got), len(everybody))
	}
	resume()
	s.awaitServedBy(t, listPath, every(cfg, "replica"))
	second := s.mustList(t, strong.next)
	if second.servedBy != every(cfg, "primary") {
		t.Errorf("the first page after a restart is served by %s, want the primaries", second.servedBy)
	}
	await(t, func() error { // the walk goes on from then: replicas serve again once they are past it
		if page := s.mustList(t, second.next); page.servedBy != every(cfg, "replica") || !page.asOf.Equal(strong.asOf) {
			return fmt.Errorf("served by %s as of %s, want replicas and %s", page.servedBy, page.asOf, strong.asOf)
		}
		return nil
	})
}

// TestListsWithoutAShard takes one shard away: 503 that names it, or, for who
// prefers that, the rest, and what is missing.
func TestListsWithoutAShard(t *testing.T) {
	cfg := testcluster.Open(t)
	pooler := testcluster.NewProxy(t, cfg.Shards[2].Pooler)
	replica := testcluster.NewProxy(t, cfg.Shards[2].Replica)
	s := start(t, "SHARD_2_WRITE_ADDR="+pooler.Addr, "SHARD_2_REPLICA_ADDR="+replica.Addr)
	ring, err := shard.NewRing(shardNames(cfg))
	if err != nil {
		t.Fatal(err)
	}
	var all, rest []string
	for i := range 40 {
		u := must[user](t, s, "POST", listPath, createBody("n", fmt.Sprintf("u%d@example.com", i)), 201)
		all = append(all, u.ID)
		if ring.Owner(u.ID) != "shard-2" {
			rest = append(rest, u.ID)
		}
	}
	slices.Reverse(all)
	slices.Reverse(rest)
	if len(rest) == len(all) {
		t.Fatal("40 users, and none on shard-2")
	}
	lenient := []string{"Prefer", "handling=lenient", "Consistency", "strong"}
	whole := s.mustList(t, listPath+"?limit=7", lenient...)
	if got, _ := s.follow(t, whole); !slices.Equal(got, all) || whole.header.Get("Missing-Shards") != "" {
		t.Errorf("with all shards: %d users, missing %q; want %d", len(got), whole.header.Get("Missing-Shards"), len(all))
	}

	pooler.Stop()
	replica.Stop()
	for _, path := range []string{listPath, listPath + "?offset=10", whole.next} {
		p := must[problems.Body](t, s, "GET", path, "", 503)
		if p.Type != problems.ShardUnavailable.URL() || !slices.Equal(p.Shards, []string{"shard-2"}) {
			t.Errorf("%s: got %+v, want shard-2 named", path, p)
		}
	}
	var seen []string
	for next := listPath + "?limit=7"; next != ""; {
		page := s.mustList(t, next, lenient...)
		if missing := page.header.Get("Missing-Shards"); missing != "shard-2" || page.header.Get("Preference-Applied") != "handling=lenient" {
			t.Fatalf("a page lacks %q, applied %q; want shard-2 named", missing, page.header.Get("Preference-Applied"))
		}
		for _, u := range page.users {
			seen = append(seen, u.ID)
		}
		next = page.next
	}
	if !slices.Equal(seen, rest) {
		t.Errorf("without shard-2: %d users, want the %d of the other shards", len(seen), len(rest))
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/api/v1/shards/stats", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Prefer", "handling=lenient")
	await(t, func() error { // a count from before may be given again for a second
		res, err := s.client.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		want := fmt.Sprintf(`{"total_users":%d,"shard_count":5,`, len(rest))
		if res.StatusCode != http.StatusOK || !strings.HasPrefix(string(body), want) || res.Header.Get("Missing-Shards") != "shard-2" {
			return fmt.Errorf("stats: %d %s, missing %q; want %s…", res.StatusCode, body, res.Header.Get("Missing-Shards"), want)
		}
		return nil
	})

	pooler.Start(t)
	replica.Start(t)
	await(t, func() error {
		page, err := s.list(listPath, lenient...)
		if err != nil || page.status != http.StatusOK || page.header.Get("Missing-Shards") != "" {
			return fmt.Errorf("%d, missing %q, %w", page.status, page.header.Get("Missing-Shards"), err)
		}
		return nil
	})
	if got, _ := s.follow(t, whole); !slices.Equal(got, all) {
		t.Errorf("the walk of before goes on and sees %d users, want %d", len(got), len(all))
	}
}
