package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	ps "github.com/shirou/gopsutil/v4/process"

	shards "github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
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
