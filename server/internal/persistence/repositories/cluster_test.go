package repositories

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// bundle is a repository on the real shards, and what a test needs to look
// behind it.
type bundle struct {
	*ShardedUsers
	cfg     config.Config
	sweeper *Sweeper // of everything that is unsettled, however short
	serial  atomic.Int64
}

func setup(t testing.TB) *bundle {
	t.Helper()
	return open(t, testcluster.Open(t))
}

func open(t testing.TB, cfg config.Config) *bundle {
	t.Helper()
	conn := func(addr string) *pgx.ConnConfig {
		c, err := pgx.ParseConfig(cfg.DatabaseURL(addr, cfg.DBUser, cfg.DBPassword).String())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	var nodes []shard.Node
	for _, s := range cfg.Shards {
		nodes = append(nodes, shard.Node{Name: s.Name, Primary: conn(s.Pooler), Replica: conn(s.Replica)})
	}
	// More would race for the pooler's logins, not for addresses.
	router, err := shard.NewRouter(nodes, shard.Limits{WriteOpen: 24, WriteIdle: 24, ReadOpen: 20, ReadIdle: 20, ReadTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := router.Close(); err != nil {
			t.Error(err)
		}
	})
	users := NewShardedUsers(router, time.Second)
	sweeper := NewSweeper(users, slog.New(slog.DiscardHandler))
	sweeper.unsettledFor = 0
	return &bundle{ShardedUsers: users, cfg: cfg, sweeper: sweeper}
}

// emailOn makes up an address that nobody has and the shard owns.
func (b *bundle) emailOn(s *shard.Shard) entities.Email {
	for {
		email := entities.Email(fmt.Sprintf("user%d@example.com", b.serial.Add(1)))
		if b.router.For(email.Key()) == s {
			return email
		}
	}
}

func (b *bundle) newUser(t testing.TB, email entities.Email) entities.User {
	t.Helper()
	id, err := b.NewID(email)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	return entities.User{ID: id, Name: "n", Email: email, CreatedAt: now, UpdatedAt: now, Version: 1}
}

func (b *bundle) mustCreate(t testing.TB, email entities.Email) entities.User {
	t.Helper()
	u := b.newUser(t, email)
	if err := b.Create(t.Context(), u); err != nil {
		t.Fatalf("create %s: %v", email, err)
	}
	return u
}

func (b *bundle) mustChange(t testing.TB, id uuid.UUID, to entities.Email) {
	t.Helper()
	if _, err := b.Update(t.Context(), id, entities.Changes{Email: &to}, nil, time.Now()); err != nil {
		t.Fatalf("change to %s: %v", to, err)
	}
}

// holders returns the ids of the users, on all primaries, who carry the address.
func (b *bundle) holders(t testing.TB, email entities.Email) (ids []uuid.UUID) {
	t.Helper()
	for _, s := range b.router.All() {
		var rows []userRow
		if err := s.Primary.WithContext(t.Context()).Where("email_key = ?", email.Key()).Find(&rows).Error; err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			ids = append(ids, row.ID)
		}
	}
	return ids
}

// claimOf returns the claim to the address on its shard's primary, if there is one.
func (b *bundle) claimOf(t testing.TB, email entities.Email) *claimRow {
	t.Helper()
	var rows []claimRow
	err := b.router.For(email.Key()).Primary.WithContext(t.Context()).Where("email_key = ?", email.Key()).Find(&rows).Error
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) == 0 {
		return nil
	}
	return &rows[0]
}

// checkOne fails the test unless at most one user carries the address, and that
// user's the claim is.
func (b *bundle) checkOne(t testing.TB, when string, emails ...entities.Email) {
	t.Helper()
	for _, email := range emails {
		// Whoever starts to carry the address between two of these looks has the
		// claim before; that is looked at last.
		ids := b.holders(t, email)
		if len(ids) > 1 {
			t.Errorf("%s: %s is carried by %v", when, email, ids)
		}
		if c := b.claimOf(t, email); len(ids) == 1 && (c == nil || c.UserID != ids[0]) {
			t.Errorf("%s: %s is carried by %v, and the claim is %+v", when, email, ids, c)
		}
	}
}

// checkAll is checkOne for everything there is, by one look at each table, and
// counts the claims behind which nobody stands.
func (b *bundle) checkAll(t testing.TB, when string) (stale int) {
	t.Helper()
	type found struct {
		home   string
		userID uuid.UUID
	}
	claims, holders := map[string]found{}, map[string]uuid.UUID{}
	for _, s := range b.router.All() {
		var rows []claimRow
		mustFind(t, s, &rows)
		for _, row := range rows {
			if b.router.For(row.EmailKey) != s {
				t.Errorf("%s: the claim to %s is on %s", when, row.EmailKey, s.Name)
			}
			claims[row.EmailKey] = found{s.Name, row.UserID}
		}
	}
	for _, s := range b.router.All() {
		var rows []userRow
		mustFind(t, s, &rows)
		for _, row := range rows {
			key := entities.Email(row.Email).Key()
			if other, twice := holders[key]; twice {
				t.Errorf("%s: %s is carried by %s and %s", when, key, other, row.ID)
			}
			if claims[key].userID != row.ID {
				t.Errorf("%s: %s is carried by %s, and the claim is %+v", when, key, row.ID, claims[key])
			}
			if b.router.For(row.ID.String()) != s {
				t.Errorf("%s: %s is on %s", when, row.ID, s.Name)
			}
			holders[key] = row.ID
		}
	}
	return len(claims) - len(holders)
}

func mustFind(t testing.TB, s *shard.Shard, rows any) {
	t.Helper()
	if err := s.Primary.Session(&gorm.Session{NewDB: true, Context: context.WithoutCancel(t.Context())}).Find(rows).Error; err != nil {
		t.Fatal(err)
	}
}

// mustSettle sweeps until there is nothing left to sweep. The sweeper knows the
// claims that may be stale: no other is, and none stays.
func (b *bundle) mustSettle(t testing.TB) {
	t.Helper()
	for sweeps := 1; ; sweeps++ {
		swept, err := b.sweeper.SweepOnce(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if swept.Claims == 0 {
			break
		}
		if sweeps == 3 {
			t.Fatalf("the sweeper still finds %d claims", swept.Claims)
		}
	}
	if stale := b.checkAll(t, "swept"); stale != 0 {
		t.Errorf("%d stale claims are left", stale)
	}
}

// paused is a write that stops once it has come to a step, as a process does
// that is out of memory, out of time, or stopped.
type paused struct {
	step    string
	arrived chan struct{}
	resume  chan struct{}
	done    chan error
	cancel  context.CancelFunc
}

// pauseAt runs a write until it has come to its n-th step, or to its end.
func (b *bundle) pauseAt(t testing.TB, n int, run func(ctx context.Context, users *ShardedUsers) error) *paused {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := &paused{arrived: make(chan struct{}), resume: make(chan struct{}), done: make(chan error, 1), cancel: cancel}
	passed := 0
	users := NewShardedUsers(b.router, b.countTimeout)
	users.reached = func(_ context.Context, step string) {
		if passed++; passed == n {
			p.step = step
			close(p.arrived)
			<-p.resume
		}
	}
	go func() { p.done <- run(ctx, users) }()
	select {
	case <-p.arrived:
	case err := <-p.done:
		p.done <- err
	}
	return p
}

// finish lets the write go on to its end.
func (p *paused) finish() error {
	close(p.resume)
	defer p.cancel()
	return <-p.done
}

// crash ends the write where it stands: nothing more of it reaches a database.
func (p *paused) crash() {
	p.cancel()
	_ = p.finish()
}

func kinds(err error, allowed ...entities.Kind) bool {
	return err == nil || slices.Contains(allowed, entities.KindOf(err))
}
