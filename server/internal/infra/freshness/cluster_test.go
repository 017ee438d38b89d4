package freshness

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// These tests stop, kill and delay servers of the cluster, so none is parallel.

const clusterLifetime = time.Second

type bundle struct {
	cfg   config.Config
	table *Table
	proxy *testcluster.Proxy // before shard 0's pooler
}

// setup samples the real cluster in this process.
func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{cfg: testcluster.Open(t)}
	table, f, err := Create(len(b.cfg.Shards), clusterLifetime)
	if err != nil {
		t.Fatal(err)
	}
	b.table = table
	b.proxy = testcluster.NewProxy(t, b.cfg.Shards[0].Pooler)
	b.cfg.Shards[0].Pooler = b.proxy.Addr
	var shards []Shard
	for _, s := range b.cfg.Shards {
		shards = append(shards, Shard{Name: s.Name, Primary: b.login(t, s.Pooler), Replica: b.login(t, s.Replica)})
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { NewSampler(table, shards, slog.New(slog.DiscardHandler)).Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		_ = f.Close()
		if err := table.Close(); err != nil {
			t.Error(err)
		}
	})
	for i := range shards {
		b.awaitProof(t, i, table.floor)
	}
	return b
}

// login is how the server itself reaches a database server.
func (b *bundle) login(t *testing.T, addr string) *pgx.ConnConfig {
	t.Helper()
	conn, err := pgx.ParseConfig(b.cfg.DatabaseURL(addr, b.cfg.DBUser, b.cfg.DBPassword).String())
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func (b *bundle) connect(t *testing.T, addr string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.ConnectConfig(t.Context(), b.login(t, addr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func (b *bundle) proof(shard int) proofWord {
	return proofWord(b.table.mem.shard[shard].proven.Load())
}

// awaitProof waits until T is past the instant.
func (b *bundle) awaitProof(t *testing.T, shard int, past instant) {
	t.Helper()
	testcluster.Await(t, func() error {
		if got := b.proof(shard).time(); got <= past {
			return fmt.Errorf("shard %d: T is %s behind", shard, past.sub(got))
		}
		return nil
	})
}

// stays checks, for a while, that T does not pass the instant.
func (b *bundle) stays(t *testing.T, shard int, past instant, while time.Duration) {
	t.Helper()
	for end := now().add(while); now() < end; {
		if got := b.proof(shard).time(); got > past {
			t.Fatalf("T passed by %s", got.sub(past))
		}
		<-time.After(5 * time.Millisecond)
	}
}

// insertUser checks its deadline, and then takes its time.
const insertUser = `INSERT INTO users (id, name, email, created_at, updated_at)
SELECT $1::uuid, 'Ada' || pg_sleep($3)::text, $1::uuid || '@example.com', now(), now() WHERE clock_timestamp() < $2::timestamptz`

// insert writes a user as the server does and says when its outcome is known.
func (b *bundle) insert(t *testing.T, conn *pgx.Conn, shard int, id string, sleep float64) *Write {
	t.Helper()
	w, ok := b.table.Begin(t.Context(), shard, id)
	if !ok {
		t.Fatal("the primary's clock is not known")
	}
	tag, err := conn.Exec(context.Background(), insertUser, pgx.QueryExecModeExec, id, w.Deadline, sleep)
	if err != nil || tag.RowsAffected() != 1 {
		t.Errorf("insert: %v, %v", tag, err)
	}
	return w
}

// awaitServes waits until a replica is taken to keep up. On a busy machine the
// sampler, too, may be late for a while.
func (b *bundle) awaitServes(t *testing.T, shard int) {
	t.Helper()
	testcluster.Await(t, func() error {
		if !b.table.Serves(shard, time.Second) {
			return fmt.Errorf("shard %d's replica is taken for one that lags, by %s", shard, b.table.Lag(shard))
		}
		return nil
	})
}

func exists(t *testing.T, conn *pgx.Conn, id string) bool {
	t.Helper()
	return testcluster.MustQuery[bool](t, conn, "SELECT EXISTS (SELECT FROM users WHERE id = $1::text::uuid)", id)[0]
}

func supervisorctl(t *testing.T, args ...string) string {
	t.Helper()
	said, err := exec.CommandContext(t.Context(), "supervisorctl",
		append([]string{"-c", os.Getenv("TEST_SUPERVISOR")}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("supervisorctl %v: %v: %s", args, err, said)
	}
	return strings.TrimSpace(string(said))
}

func signal(t *testing.T, pid int, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatalf("%s to %d: %v", sig, pid, err)
	}
}

// superuser runs a statement on a server that only the superuser may.
func (b *bundle) superuser(t *testing.T, addr string, statements ...string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	conn, err := pgx.Connect(ctx, b.cfg.DatabaseURL(addr, "postgres", config.Secret(os.Getenv("POSTGRES_PASSWORD"))).String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

func TestClusterIdle(t *testing.T) {
	b := setup(t)
	for i := range b.cfg.Shards {
		b.awaitProof(t, i, now())
		b.awaitServes(t, i)
	}
}

func TestClusterBusy(t *testing.T) {
	b := setup(t)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		conn := b.connect(t, b.cfg.Shards[0].Pooler)
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					b.insert(t, conn, 0, uuid.NewString(), 0).Done()
				}
			}
		})
	}
	for range 10 {
		b.awaitProof(t, 0, now())
	}
	close(stop)
	wg.Wait()
	rows := testcluster.MustQuery[int](t, testcluster.Primary(t, b.cfg, 0), "SELECT count(*)::int FROM users")[0]
	t.Logf("T advanced 10 times beside %d writes", rows)
}

// Whatever may be read from the replica is there, while T trails a replica that is late.
func TestClusterDelayedReplica(t *testing.T) {
	b := setup(t)
	const delay = 2 * time.Second
	addr := b.cfg.Shards[0].Replica
	b.superuser(t, addr, "ALTER SYSTEM SET recovery_min_apply_delay = '2s'", "SELECT pg_reload_conf()")
	t.Cleanup(func() {
		b.superuser(t, addr, "ALTER SYSTEM RESET recovery_min_apply_delay", "SELECT pg_reload_conf()")
	})
	replica := b.connect(t, addr)
	testcluster.Await(t, func() error {
		if got := testcluster.MustQuery[string](t, replica, "SHOW recovery_min_apply_delay")[0]; got != "2s" {
			return fmt.Errorf("delay is %s", got)
		}
		return nil
	})

	id := uuid.NewString()
	begun := now()
	b.insert(t, b.connect(t, b.cfg.Shards[0].Pooler), 0, id, 0).Done()
	early := 0
	testcluster.Await(t, func() error {
		_, allowed := b.table.MayRead(0, id)
		if found := exists(t, replica, id); allowed && !found {
			t.Fatal("the replica may be read and does not have the user")
		}
		if !allowed {
			early++
			return fmt.Errorf("the replica may not be read; T is %s behind the write", begun.sub(b.proof(0).time()))
		}
		return nil
	})
	if took := now().sub(begun); took < delay || early == 0 {
		t.Errorf("the replica was free after %s, before its delay of %s", took, delay)
	}
	testcluster.Await(t, func() error {
		if lag := b.table.Lag(0); lag > delay+2*time.Second {
			return fmt.Errorf("lag is %s, want about %s", lag, delay)
		}
		return nil
	})
}

func TestClusterOpenTransactionHoldsT(t *testing.T) {
	b := setup(t)
	conn := b.connect(t, b.cfg.Shards[0].Pooler)
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	begun := now()
	if _, err := tx.Exec(t.Context(), "DELETE FROM users", pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	b.stays(t, 0, begun, 1500*time.Millisecond)
	b.awaitServes(t, 0)
	if b.proof(0).time() > begun {
		t.Error("T passed the open transaction meanwhile")
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.awaitProof(t, 0, begun)
}

// A write in a backend that stopped in the middle holds T, and with it its mark, until it is over.
func TestClusterStoppedBackendHoldsItsMark(t *testing.T) {
	b := setup(t)
	conn := b.connect(t, b.cfg.Shards[0].Primary)
	id := uuid.NewString()
	pid := int(conn.PgConn().PID())
	written := make(chan *Write, 1)
	begun := now()
	go func() { written <- b.insert(t, conn, 0, id, 1) }()
	watcher := b.connect(t, b.cfg.Shards[0].Primary)
	testcluster.Await(t, func() error {
		const asleep = "SELECT wait_event IS NOT DISTINCT FROM 'PgSleep' FROM pg_stat_activity WHERE pid = $1"
		if !testcluster.MustQuery[bool](t, watcher, asleep, pid)[0] {
			return fmt.Errorf("the write has not begun")
		}
		return nil
	})
	signal(t, pid, syscall.SIGSTOP)
	defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }()
	stopped := now()

	b.stays(t, 0, stopped, 2*(clusterLifetime+margin(clusterLifetime)))
	if _, ok := b.table.MayRead(0, id); ok {
		t.Error("the replica may be read while the write is neither done nor dead")
	}
	if _, ok := b.table.MayRead(0, uuid.NewString()); !ok {
		t.Error("other ids are kept from the replica too")
	}
	signal(t, pid, syscall.SIGCONT)
	<-written // and never Done: the outcome was lost on the way
	replica := b.connect(t, b.cfg.Shards[0].Replica)
	testcluster.Await(t, func() error {
		if _, ok := b.table.MayRead(0, id); !ok {
			return fmt.Errorf("the write's mark holds")
		}
		if !exists(t, replica, id) {
			t.Fatal("the replica may be read and does not have the user")
		}
		return nil
	})
	if now().sub(begun) < clusterLifetime {
		t.Error("the mark of a lost write did not hold")
	}
}

// A statement that reaches its backend late does nothing.
func TestClusterLateStatementDoesNothing(t *testing.T) {
	b := setup(t)
	conn := b.connect(t, b.cfg.Shards[0].Primary)
	pid := int(conn.PgConn().PID())
	id := uuid.NewString()
	signal(t, pid, syscall.SIGSTOP)
	defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }()
	w, _ := b.table.Begin(t.Context(), 0, id)
	rows := make(chan int64, 1)
	go func() {
		tag, err := conn.Exec(context.Background(), insertUser, pgx.QueryExecModeExec, id, w.Deadline, 0)
		if err != nil {
			t.Error(err)
		}
		rows <- tag.RowsAffected()
	}()
	b.stays(t, 0, w.until, clusterLifetime) // it is not pending for nothing
	b.awaitProof(t, 0, w.until)             // nothing runs: it can't happen any more
	signal(t, pid, syscall.SIGCONT)
	if n := <-rows; n != 0 {
		t.Errorf("a statement past its deadline wrote %d rows", n)
	}
}

func TestClusterPrimaryAway(t *testing.T) {
	b := setup(t)
	b.proxy.Stop()
	stopped := now()
	b.stays(t, 0, stopped, time.Second)
	if _, ok := b.table.MayRead(0, "never written"); !ok {
		t.Error("what was not written may not be read while the primary is away")
	}
	b.awaitServes(t, 0)
	b.proxy.Start(t)
	b.awaitProof(t, 0, stopped)
}

// pool opens a pool to shard 0's replica as the router does.
func (b *bundle) pool(t *testing.T) *sql.DB {
	t.Helper()
	db := stdlib.OpenDB(*b.login(t, b.cfg.Shards[0].Replica),
		stdlib.OptionAfterConnect(Identify), stdlib.OptionResetSession(b.table.Discard(0)))
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// leads is the incarnation that a connection of the pool leads to, and its backend.
func leads(t *testing.T, db *sql.DB) (replica Incarnation, pid int, err error) {
	t.Helper()
	conn, err := db.Conn(t.Context())
	if err != nil {
		return 0, 0, err
	}
	defer conn.Close()
	if err := conn.QueryRowContext(t.Context(), "SELECT pg_backend_pid()").Scan(&pid); err != nil {
		return 0, 0, err
	}
	replica, err = Leads(conn)
	return replica, pid, err
}

func TestClusterIncarnations(t *testing.T) {
	b := setup(t)
	postmaster, err := strconv.Atoi(supervisorctl(t, "pid", "replicas:shard-0-replica"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		victim func(backend int) int
	}{
		{"backend killed", func(backend int) int { return backend }}, // no new start time
		{"postmaster killed", func(int) int { return postmaster }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b.awaitProof(t, 0, now())
			db := b.pool(t)
			proof, ok := b.table.MayRead(0, "a")
			before, backend, err := leads(t, db)
			if err != nil || !ok || !proof.Allows(before) {
				t.Fatalf("a connection to %d, proof %+v, %t, %v", before, proof, ok, err)
			}
			signal(t, tt.victim(backend), syscall.SIGKILL)
			killed := now()

			var firstT instant
			testcluster.Await(t, func() error {
				w := b.proof(0)
				if w.incarnation() == before {
					return fmt.Errorf("T still belongs to the incarnation that was killed")
				}
				firstT = w.time()
				return nil
			})
			if firstT != 0 && firstT < killed {
				t.Errorf("the new incarnation took over a T of the old one's time")
			}
			testcluster.Await(t, func() error {
				after, _, err := leads(t, db)
				if err != nil {
					return err
				}
				if proof.Allows(after) {
					t.Fatal("the old proof allows the new incarnation")
				}
				return nil
			})
			b.awaitProof(t, 0, now())
			now, _ := b.table.MayRead(0, "a")
			if after, _, err := leads(t, db); err != nil || !now.Allows(after) {
				t.Errorf("a connection to %d, proof %+v, %v", after, now, err)
			}
		})
	}
}

func TestClusterDiscardsOldConnections(t *testing.T) {
	b := setup(t)
	db := b.pool(t)
	_, before, err := leads(t, db)
	if err != nil {
		t.Fatal(err)
	}
	if _, again, _ := leads(t, db); again != before {
		t.Fatal("the connection was not pooled")
	}
	// As when the address leads to another server, and the old one still runs.
	b.table.mem.shard[0].publish(1, 0)
	if _, after, err := leads(t, db); err != nil || after == before {
		t.Errorf("a connection to an incarnation that is not the present one was used again: %v", err)
	}
}
