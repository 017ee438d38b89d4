package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	ps "github.com/shirou/gopsutil/v4/process"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/internal/bootstrap"
	shards "github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/freshness"
	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/primaries"
)

// TestFailover moves the primary of a shard about while an API serves. Its parts build on
// each other, in this order.
func TestFailover(t *testing.T) {
	c := startTestCluster(t, 1)
	if err := c.migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	long := os.Getenv("TEST_LONG") != ""
	primary, replica, epoch := c.primaries()[0], c.replicas()[0], int64(1)
	moved := func(t *testing.T) {
		t.Helper()
		primary, replica, epoch = replica, primary, epoch+1
		wantRoles(t, c, primary, replica, epoch)
	}

	t.Run("planned, nobody notices", func(t *testing.T) {
		clients := startClients(t, c, 6)
		clients.await(t, 200)
		for range 2 { // there and back
			mustFailover(t, c)
			moved(t)
			clients.await(t, 200)
			clients.awaitReplica(t)
		}
		clients.stop()
		if clients.failed > 0 {
			t.Errorf("%d of %d requests failed, the first one: %s", clients.failed, clients.done, clients.first)
		}
		wantKept(t, c, clients)
		t.Logf("%d requests, the longest took %s", clients.done, clients.longest.Round(time.Millisecond))
	})

	t.Run("after a loss nothing is lost while the old primary can be started", func(t *testing.T) {
		receiver := walReceiver(t, c, replica)
		tell(t, syscall.SIGSTOP, receiver)
		mustExec(t, c, primary, `CREATE TABLE kept AS SELECT n, repeat('x', 1000) FROM generate_series(1, 30000) AS n`)
		tell(t, syscall.SIGSTOP, tree(t, c, primary)...) // it hangs, with what its replica does not have
		tell(t, syscall.SIGCONT, receiver)
		mustFailover(t, c)
		moved(t)
		awaitCount(t, c, primary, 30000)
		awaitCount(t, c, replica, 30000)
	})

	t.Run("what is lost for good has to be accepted", func(t *testing.T) {
		tell(t, syscall.SIGKILL, tree(t, c, primary)...)
		if err := os.RemoveAll(c.dataDir(primary)); err != nil {
			t.Fatal(err)
		}
		err := c.failover(t.Context(), "0")
		if err == nil || !strings.Contains(err.Error(), "ACCEPT_LOSS=1") || !strings.Contains(err.Error(), "everything after ") {
			t.Fatalf("got %v, want a refusal that tells the gap", err)
		}
		if recovering, _, err := c.identify(t.Context(), replica); err != nil || !recovering {
			t.Fatalf("the replica: in recovery %v, %v; nothing was to be changed", recovering, err)
		}
		t.Setenv("ACCEPT_LOSS", "1")
		mustFailover(t, c)
		moved(t)
		awaitCount(t, c, replica, 30000)
	})

	t.Run("one that was killed is finished by the next", func(t *testing.T) {
		steps := []string{"number"}
		if long {
			steps = []string{"fence", "pause", "stop", "compare", "promote", "number", "resume", "rebuild", "forget"}
		}
		for n, step := range steps {
			killAt(t, c, step)
			writable := 0
			for _, i := range c.instances() {
				if recovering, _, err := c.identify(t.Context(), i); err == nil && !recovering {
					writable++
				}
			}
			if writable > 1 {
				t.Errorf("killed before %s: both take writes", step)
			}
			if n%2 == 0 {
				mustFailover(t, c)
			} else {
				mustUp(t, c)
			}
			moved(t)
		}
	})

	if !long {
		return
	}

	t.Run("a transaction that does not end puts it off", func(t *testing.T) {
		conn, err := c.connectAs(t.Context(), c.cfg.Shards[0].Pooler, c.cfg.Shards[0].Database, c.cfg.DBUser, string(c.cfg.DBPassword))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(context.WithoutCancel(t.Context()))
		tx, err := conn.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := c.failover(t.Context(), "0"); err == nil || !strings.Contains(err.Error(), "transactions did not end") {
			t.Errorf("got %v, want a refusal", err)
		}
		wantRoles(t, c, primary, replica, epoch)
		if err := tx.Commit(t.Context()); err != nil {
			t.Errorf("the transaction was cut: %v", err)
		}
	})

	copied := c.path("before") // a primary's folder from before a promotion
	t.Run("roles outlive a stop", func(t *testing.T) {
		for range 2 { // of either kind
			mustFailover(t, c)
			moved(t)
			if err := c.down(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(os.RemoveAll(copied), os.CopyFS(copied, os.DirFS(c.dataDir(primary)))); err != nil {
				t.Fatal(err)
			}
			mustUp(t, c)
			wantRoles(t, c, primary, replica, epoch)
		}
	})

	t.Run("an old primary that comes back is refused", func(t *testing.T) {
		mustFailover(t, c)
		moved(t)
		mustStop(t, c, replica)
		dir := c.dataDir(replica)
		if err := errors.Join(os.RemoveAll(dir), os.Rename(copied, dir), c.account.own(dir), os.Chmod(dir, 0o700)); err != nil {
			t.Fatal(err)
		}
		if err := c.start(t.Context(), replica.program()); err != nil {
			t.Fatal(err)
		}
		if err := c.primaryReady(t.Context(), replica); err != nil { // there are two that take writes
			t.Fatal(err)
		}
		wantFound(t, c, primary, epoch)
		wantRefused(t, c, replica)
		mustUp(t, c)
		wantRoles(t, c, primary, replica, epoch)
	})
}

// TestRoles reads them from the folders, as after `make down`.
func TestRoles(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		first, second folder
		want          string
	}{
		"nothing yet":                          {gone, gone, "shard-0"},
		"the replica is to be cloned":          {takesWrites(1), gone, "shard-0"},
		"as they were made":                    {takesWrites(1), standby(1), "shard-0"},
		"moved":                                {standby(1), takesWrites(2), "shard-0-replica"},
		"moved back":                           {takesWrites(3), standby(3), "shard-0"},
		"the primary is lost":                  {gone, standby(1), "shard-0"},
		"lost after the roles moved":           {standby(2), gone, "shard-0-replica"},
		"the old primary is to be cloned":      {gone, takesWrites(2), "shard-0-replica"},
		"standby.signal was removed":           {takesWrites(1), takesWrites(1), "shard-0"},
		"the old primary was put back":         {takesWrites(1), takesWrites(2), "shard-0-replica"},
		"the old primary was put back, second": {takesWrites(3), takesWrites(2), "shard-0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &cluster{dir: t.TempDir(), cfg: config.Config{Shards: []config.Shard{{Name: "shard-0", Primary: "p:1", Replica: "r:1"}}}}
			test.first.make(t, c.path("data", "shard-0"))
			test.second.make(t, c.path("data", "shard-0-replica"))
			primary, replica := c.primaries()[0], c.replicas()[0]
			if primary.name != test.want || primary.replica || !replica.replica || replica.name == primary.name {
				t.Errorf("primary %+v, replica %+v; want %s", primary, replica, test.want)
			}
		})
	}
}

// folder is as much of a data folder as tells of a role.
type folder struct {
	there, standby bool
	timeline       byte
}

var gone folder

func takesWrites(timeline byte) folder { return folder{there: true, timeline: timeline} }
func standby(timeline byte) folder     { return folder{there: true, standby: true, timeline: timeline} }

func (f folder) make(t *testing.T, dir string) {
	t.Helper()
	if !f.there {
		return
	}
	control := make([]byte, 100)
	control[48] = f.timeline
	files := map[string][]byte{"PG_VERSION": []byte("16\n"), "global/pg_control": control}
	if f.standby {
		files[standbySignal] = nil
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, text, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
}

// killAt ends a failover before the step, as SIGKILL would: nothing is undone.
func killAt(t *testing.T, c *cluster, step string) {
	t.Helper()
	reached := false
	c.atStep = func(name string) {
		if name == step {
			reached = true
			runtime.Goexit()
		}
	}
	var run sync.WaitGroup
	run.Go(func() { _ = c.failover(t.Context(), "0") })
	run.Wait()
	c.atStep = nil
	if !reached {
		t.Fatalf("the failover ended without the step %q", step)
	}
}

func tell(t *testing.T, s syscall.Signal, pids ...int) {
	t.Helper()
	for _, pid := range pids {
		if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Fatal(err)
		}
	}
}

// tree is a server's processes, the postmaster last: it would start the others again.
func tree(t *testing.T, c *cluster, i instance) (pids []int) {
	t.Helper()
	postmaster := c.postmaster(i)
	p, err := ps.NewProcess(int32(postmaster))
	if err != nil {
		t.Fatal(err)
	}
	children, err := p.Children()
	if err != nil {
		t.Fatal(err)
	}
	for _, child := range children {
		pids = append(pids, int(child.Pid))
	}
	return append(pids, postmaster)
}

func walReceiver(t *testing.T, c *cluster, i instance) (pid int) {
	t.Helper()
	conn, err := c.connect(t.Context(), i.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if err := conn.QueryRow(t.Context(), "SELECT pid FROM pg_stat_wal_receiver").Scan(&pid); err != nil {
		t.Fatal(err)
	}
	return pid
}

// wantRefused points the pooler at a server from before the last promotion, under open
// connections, as nothing of ours does: as soon as it was noticed nothing is written there.
func wantRefused(t *testing.T, c *cluster, old instance) {
	t.Helper()
	clients := startClients(t, c, 0)
	file := c.path("conf", poolerName(0)+".ini")
	right, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, rightPort, _ := net.SplitHostPort(c.primaries()[0].addr)
	_, wrongPort, _ := net.SplitHostPort(old.addr)
	point := func(ini []byte) {
		t.Helper()
		if err := c.account.write(file, ini); err != nil {
			t.Fatal(err)
		}
		if err := c.console(t.Context(), 0, "RELOAD"); err != nil {
			t.Fatal(err)
		}
	}
	create := func() (int, string) {
		status, text, _, err := clients.exchange(http.MethodPost, "", fmt.Sprintf(`{"name":"n","email":"late%d@example.com"}`, time.Now().UnixNano()))
		if err != nil {
			t.Fatal(err)
		}
		return status, string(text)
	}
	if status, text := create(); status != http.StatusCreated { // the connection is open
		t.Errorf("a create answers %d %s", status, text)
	}
	point(bytes.Replace(right, []byte("port="+rightPort+" "), []byte("port="+wrongPort+" "), 1))
	eventually(t, "writes are refused", func() error {
		if status, text := create(); status != http.StatusServiceUnavailable {
			return fmt.Errorf("a create answers %d %s", status, text)
		}
		return nil
	})
	for range 20 {
		if status, text := create(); status != http.StatusServiceUnavailable {
			t.Errorf("a create answers %d %s, want 503", status, text)
		}
	}
	point(right)
	eventually(t, "writes are taken again", func() error {
		if status, text := create(); status != http.StatusCreated {
			return fmt.Errorf("a create answers %d %s", status, text)
		}
		return nil
	})
}

func mustFailover(t *testing.T, c *cluster) {
	t.Helper()
	if err := c.failover(t.Context(), "0"); err != nil {
		t.Fatal(err)
	}
}

// wantRoles asks everybody who has an opinion.
func wantRoles(t *testing.T, c *cluster, primary, replica instance, epoch int64) {
	t.Helper()
	primary.replica, replica.replica = false, true
	if got := c.primaries()[0]; got != primary {
		t.Errorf("the folders say that %s is the primary, want %s", got.name, primary.name)
	}
	if got := c.replicas()[0]; got != replica {
		t.Errorf("the folders say that %s is the replica, want %s", got.name, replica.name)
	}
	if recovering, _, err := c.identify(t.Context(), primary); err != nil || recovering {
		t.Errorf("%s: in recovery %v, %v; want a primary", primary.name, recovering, err)
	}
	if recovering, streaming, err := c.identify(t.Context(), replica); err != nil || !recovering || !streaming {
		t.Errorf("%s: in recovery %v, streaming %v, %v; want a replica", replica.name, recovering, streaming, err)
	}
	if err := c.poolerReady(t.Context(), 0); err != nil {
		t.Error(err)
	}
	wantFound(t, c, primary, epoch)
	if fileExists(c.journal(0)) {
		t.Error("the journal is still there")
	}
}

// wantFound asks as tools do.
func wantFound(t *testing.T, c *cluster, primary instance, epoch int64) {
	t.Helper()
	set, err := primaries.Connect(t.Context(), c.cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	if set.Addr(0) != primary.addr {
		t.Errorf("tools find the primary at %s, want %s", set.Addr(0), primary.addr)
	}
	if got, err := shards.Epoch(t.Context(), set.Conns[0]); err != nil || got != epoch {
		t.Errorf("epoch %d, %v; want %d", got, err, epoch)
	}
}

// clients create, change and read users through an API of their own.
type clients struct {
	url      string
	end      context.CancelFunc
	requests sync.WaitGroup
	served   chan error

	mu      sync.Mutex
	done    int
	failed  int
	first   string
	longest time.Duration
	names   map[string]string // what was acknowledged last
}

func startClients(t *testing.T, c *cluster, count int) *clients {
	t.Helper()
	cfg := c.cfg
	cfg.RequestTimeout = 20 * time.Second // on a busy machine everything takes longer, what is proved too
	table, err := freshness.CreatePrivate(len(cfg.Shards), cfg.RequestTimeout)
	if err != nil {
		t.Fatal(err)
	}
	api, err := bootstrap.NewApplication(cfg, table, slog.New(slog.NewJSONHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})))
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	l := &clients{url: "http://" + ln.Addr().String() + "/api/v1/users/", end: end, served: make(chan error, 1), names: make(map[string]string)}
	serving, stop := context.WithCancel(context.Background())
	started := make(chan struct{})
	go func() { l.served <- api.Serve(serving, ln, func() { close(started) }) }()
	<-started
	t.Cleanup(func() {
		end()
		l.requests.Wait()
		stop()
		if err := errors.Join(<-l.served, api.Close(), table.Close()); err != nil {
			t.Error(err)
		}
	})
	for n := range count {
		l.requests.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				l.live(ctx, fmt.Sprintf("u%d-%d-%d@example.com", time.Now().UnixNano(), n, i))
			}
		})
	}
	return l
}

// live creates a user, renames it and reads it after each acknowledgement.
func (l *clients) live(ctx context.Context, email string) {
	u, ok := l.send(http.MethodPost, "", fmt.Sprintf(`{"name":"0","email":%q}`, email), http.StatusCreated)
	for i := 1; ok && i <= 3; i++ {
		l.acknowledged(u)
		var got person
		if got, ok = l.send(http.MethodGet, u.ID, "", http.StatusOK); ok && got != u {
			l.fail(fmt.Sprintf("GET %s: %+v, and %+v was acknowledged", u.ID, got, u))
		}
		if ctx.Err() != nil {
			return
		}
		if ok {
			u, ok = l.send(http.MethodPut, u.ID, fmt.Sprintf(`{"name":"%d"}`, i), http.StatusOK)
		}
	}
	if ok {
		l.acknowledged(u)
	}
}

type person struct {
	ID, Name, Email string
	CreatedAt       string `json:"created_at"`
	UpdatedAt       string `json:"updated_at"`
}

func (l *clients) send(method, path, body string, want int) (u person, ok bool) {
	began := time.Now()
	status, text, _, err := l.exchange(method, path, body)
	if err == nil && status == want {
		err = json.Unmarshal(text, &u)
	}
	l.mu.Lock()
	l.done++
	l.longest = max(l.longest, time.Since(began))
	l.mu.Unlock()
	if err != nil || status != want {
		l.fail(fmt.Sprintf("%s %s: %d %s %v", method, path, status, text, err))
		return u, false
	}
	return u, true
}

func (l *clients) exchange(method, path, body string) (status int, text []byte, servedBy string, err error) {
	request, err := http.NewRequestWithContext(context.Background(), method, l.url+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return 0, nil, "", err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, "", err
	}
	defer response.Body.Close()
	text, err = io.ReadAll(response.Body)
	return response.StatusCode, text, response.Header.Get("X-Served-By"), err
}

func (l *clients) fail(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed++; l.first == "" {
		l.first = what
	}
}

func (l *clients) acknowledged(u person) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.names[u.ID] = u.Name
}

// await returns after so many more requests.
func (l *clients) await(t *testing.T, more int) {
	t.Helper()
	l.mu.Lock()
	from := l.done
	l.mu.Unlock()
	eventually(t, fmt.Sprintf("%d more requests", more), func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.done < from+more {
			return fmt.Errorf("%d of them", l.done-from)
		}
		return nil
	})
}

// awaitReplica returns when reads are answered by a replica.
func (l *clients) awaitReplica(t *testing.T) {
	t.Helper()
	eventually(t, "a replica serves", func() error {
		status, text, by, err := l.exchange(http.MethodGet, "?limit=1", "")
		if err != nil || status != http.StatusOK || !strings.HasSuffix(by, "/replica") {
			return fmt.Errorf("served by %q: %d %s %w", by, status, text, err)
		}
		return nil
	})
}

// stop ends the load.
func (l *clients) stop() {
	l.end()
	l.requests.Wait()
}

// wantKept compares what was acknowledged with what both servers have.
func wantKept(t *testing.T, c *cluster, l *clients) {
	t.Helper()
	for _, i := range c.instances() {
		eventually(t, i.name+" has everything", func() error {
			stored := names(t, c, i)
			for id, name := range l.names { // the load has ended
				if stored[id] != name {
					return fmt.Errorf("%s is %q, and %q was acknowledged", id, stored[id], name)
				}
			}
			return nil
		})
	}
}

func names(t *testing.T, c *cluster, i instance) map[string]string {
	t.Helper()
	conn, err := c.connectAs(t.Context(), i.addr, c.cfg.Shards[0].Database, "postgres", c.env["POSTGRES_PASSWORD"])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	rows, err := conn.Query(t.Context(), "SELECT id::text, name FROM users")
	if err != nil {
		t.Fatal(err)
	}
	stored := make(map[string]string)
	var id, name string
	if _, err := pgx.ForEachRow(rows, []any{&id, &name}, func() error { stored[id] = name; return nil }); err != nil {
		t.Fatal(err)
	}
	return stored
}
