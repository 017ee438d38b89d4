package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// tool builds one of the operator's programs and returns how to run it, and what it printed.
func tool(t testing.TB, name string) func(args ...string) (string, error) {
	t.Helper()
	program := filepath.Join(t.TempDir(), name)
	if out, err := exec.Command("go", "build", "-o", program, "../../tools/"+name).CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, out)
	}
	dir := t.TempDir()
	return func(args ...string) (string, error) {
		cmd := exec.Command(program, args...)
		cmd.Dir = dir // without a .env
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
}

// client lives the lives of users, one request after another, and takes note of each that is not answered as it must be.
type client struct {
	s      *server
	number int
	older  []string // users who were there before
	mine   map[string]user
	ids    []string
	serial int

	took  []time.Duration
	wrong []string
}

func (c *client) run(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
			c.step()
		}
	}
}

func (c *client) step() {
	c.serial++
	switch {
	case len(c.ids) < 20 || c.serial%5 == 0:
		c.create()
	case c.serial%5 == 1:
		u := c.mine[c.ids[rand.IntN(len(c.ids))]]
		u.Name = "Name " + strconv.Itoa(c.serial)
		c.change(u, fmt.Sprintf(`{"name":%q}`, u.Name))
	case c.serial%5 == 2:
		u := c.mine[c.ids[rand.IntN(len(c.ids))]]
		u.Email = c.email()
		c.change(u, fmt.Sprintf(`{"email":%q}`, u.Email))
	case c.serial%5 == 3:
		at := rand.IntN(len(c.ids))
		id := c.ids[at]
		c.ask("DELETE", path(id), "", 204)
		c.ask("GET", path(id), "", 404)
		delete(c.mine, id)
		c.ids = slices.Delete(c.ids, at, at+1)
	case c.serial%2 == 0: // one from before, who is nobody's own: a read, and a change that says nothing new
		id := c.older[rand.IntN(len(c.older))]
		var u user
		if c.answer(c.ask("GET", path(id), "", 200), &u) {
			c.ask("PUT", path(id), fmt.Sprintf(`{"name":%q}`, u.Name), 200)
		}
	default:
		id := c.ids[rand.IntN(len(c.ids))]
		var u user
		if c.answer(c.ask("GET", path(id), "", 200), &u) && (u.Name != c.mine[id].Name || u.Email != c.mine[id].Email) {
			c.wrong = append(c.wrong, fmt.Sprintf("read %v, want %v", u, c.mine[id]))
		}
	}
}

func (c *client) email() string { return fmt.Sprintf("c%d-%d@example.net", c.number, c.serial) }

func (c *client) create() {
	var u user
	if c.answer(c.ask("POST", "/api/v1/users/", createBody("Name", c.email()), 201), &u) {
		c.mine[u.ID] = u
		c.ids = append(c.ids, u.ID)
	}
}

func (c *client) change(want user, body string) {
	if c.ask("PUT", path(want.ID), body, 200) != nil {
		c.mine[want.ID] = want
	}
}

// ask sends a request and returns the answer's body, or nil if that is not what it must be.
func (c *client) ask(method, path, body string, status int) []byte {
	start := time.Now()
	got, answer, err := c.s.send(method, path, body)
	c.took = append(c.took, time.Since(start))
	if err != nil || got != status {
		c.wrong = append(c.wrong, fmt.Sprintf("%s %s: got %d %s, %v; want %d", method, path, got, answer, err, status))
		return nil
	}
	if answer == nil {
		answer = []byte{}
	}
	return answer
}

func (c *client) answer(body []byte, u *user) bool {
	return body != nil && json.Unmarshal(body, u) == nil
}

// under calls do while the clients are at work, and logs what they met with.
func under(t *testing.T, clients []*client, name string, do func()) {
	t.Helper()
	stop := make(chan struct{})
	var work sync.WaitGroup
	for _, c := range clients {
		c.took = c.took[:0]
		work.Go(func() { c.run(stop) })
	}
	start := time.Now()
	do()
	close(stop)
	work.Wait()
	var took []time.Duration
	for _, c := range clients {
		took = append(took, c.took...)
		for _, w := range c.wrong {
			t.Errorf("%s: client %d: %s", name, c.number, w)
		}
		c.wrong = nil
	}
	slices.Sort(took)
	at := func(part float64) time.Duration {
		return took[int(part*float64(len(took)-1))].Round(100 * time.Microsecond)
	}
	elapsed := time.Since(start)
	t.Logf("%-22s %6.0f requests/s for %5.1f s, latency p50 %s, p99 %s, longest %s",
		name, float64(len(took))/elapsed.Seconds(), elapsed.Seconds(), at(0.5), at(0.99), at(1))
}

// TestPartitionUnderLoad partitions the users of all shards, and takes that back, while clients create, change, read and delete
// users through the API. No request fails and every read shows the newest state.
func TestPartitionUnderLoad(t *testing.T) {
	users, calm := 20_000, time.Second
	if os.Getenv("TEST_LONG") != "" {
		users, calm = 1_000_000, 20*time.Second
	}
	cfg := testcluster.Open(t)
	seed, migration, verify := tool(t, "seed"), tool(t, "migration"), tool(t, "verify")
	settings, err := filepath.Abs("../../migration.yml")
	if err != nil {
		t.Fatal(err)
	}
	must := func(said string, err error) string {
		t.Helper()
		if err != nil {
			t.Errorf("%v\n%s", err, said)
		}
		return said
	}
	must(seed("-users", strconv.Itoa(users)))
	t.Cleanup(func() { // whatever happened, other tests find a plain table
		if said, err := migration("-config", settings, "unpartition"); err != nil {
			t.Errorf("%v\n%s", err, said)
		}
	})
	var older []string
	for i := range cfg.Shards {
		conn := testcluster.Primary(t, cfg, i)
		testcluster.MustExec(t, conn, "VACUUM ANALYZE users")
		older = append(older, testcluster.MustQuery[string](t, conn, "SELECT id::text FROM users LIMIT 2000")...)
	}
	testcluster.AwaitReplicas(t, cfg)

	s := start(t)
	clients := make([]*client, 32)
	for i := range clients {
		clients[i] = &client{s: s, number: i, older: older, mine: map[string]user{}}
	}
	rest := func() { <-time.After(calm) }
	under(t, clients, "plain", rest)
	under(t, clients, "being partitioned", func() { t.Log(must(migration("-config", settings, "partition"))) })
	under(t, clients, "8 partitions", rest)
	under(t, clients, "being unpartitioned", func() { t.Log(must(migration("-config", settings, "unpartition"))) })

	t.Log(must(verify()))
	want := users
	for _, c := range clients {
		want += len(c.ids)
		for id, u := range c.mine {
			var got user
			if c.answer(c.ask("GET", path(id), "", 200), &got) && (got.Name != u.Name || got.Email != u.Email) {
				t.Errorf("got %v, want %v", got, u)
			}
		}
	}
	total := 0
	for i := range cfg.Shards {
		total += testcluster.MustQuery[int](t, testcluster.Primary(t, cfg, i), "SELECT count(*) FROM users")[0]
	}
	if total != want {
		t.Errorf("got %d users, want %d", total, want)
	}
}
