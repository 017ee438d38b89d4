package repositories

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// TestStatementsAfterTheirDeadline runs every statement that writes, with
// arguments that make it write, after its deadline: nothing changes.
func TestStatementsAfterTheirDeadline(t *testing.T) {
	b := setup(t)
	s := b.router.All()[0]
	email, other := b.emailOn(s), b.emailOn(s)
	u := b.mustCreate(t, email)
	token, hash, now := b.claimOf(t, email).Token, make([]byte, 32), time.Now()
	once := entities.NewOnce("key", u.Name, other, time.Microsecond)
	kept := b.newUser(t, other)
	if _, _, err := b.record(t.Context(), kept, once); err != nil {
		t.Fatal(err)
	}
	testcluster.MustExec(t, testcluster.Primary(t, b.cfg, 0), "INSERT INTO idempotency_keys SELECT $1, $1, $2, 'n', 'e', now(), now()", hash, u.ID)
	testcluster.MustExec(t, testcluster.Primary(t, b.cfg, 0), "INSERT INTO idempotent_creates SELECT $1, $2, now()", u.ID, hash)
	id := uuid.Must(uuid.NewV7())
	contents := func() string {
		var all strings.Builder
		for _, table := range []string{"users", "email_claims", "idempotency_keys", "idempotent_creates"} {
			rows := testcluster.MustQuery[string](t, testcluster.Primary(t, b.cfg, 0), "SELECT x::text FROM "+table+" AS x ORDER BY 1")
			fmt.Fprintln(&all, rows)
		}
		return all.String()
	}
	before := contents()
	for name, test := range map[string]struct {
		statement string
		args      []any
	}{
		"createUser":         {createUser, []any{other.Key(), id, "n", string(other), now}},
		"createUserOver":     {createUserOver, []any{email.Key(), id, "n", string(other), now, token}},
		"createUserOnce":     {createUserOnce, []any{other.Key(), id, "n", string(other), now, hash, now}},
		"createUserOnceOver": {createUserOnceOver, []any{email.Key(), id, "n", string(other), now, hash, now, token}},
		"createUsers":        {createUsers, []any{[]string{other.Key()}, uuids([]uuid.UUID{id}), []string{"n"}, []string{string(other)}, []time.Time{now}, [][]byte{hash}, []time.Time{now}}},
		"recordCreates":      {recordCreates, []any{[][]byte{[]byte("new")}, [][]byte{hash}, uuids([]uuid.UUID{id}), []string{"n"}, []string{string(other)}, []time.Time{now}, []int64{1}}},
		"recordCreate":       {recordCreate, []any{[]byte("new"), hash, id, "n", string(other), now, 1}},
		"renewRecord":        {renewRecord, []any{hash, hash, id, "n", string(other), now, 1}},
		"updateUser":         {updateUser, []any{u.ID, "m", nil, nil, now, nil}},
		"moveUser":           {moveUser, []any{u.ID, "m", string(other), 1, now, email.Key()}},
		"deleteUser":         {deleteUser, []any{u.ID, nil}},
		"deleteUsers":        {deleteUsers, []any{uuids([]uuid.UUID{u.ID}), []*int64{nil}}},
		"deleteMovedUser":    {deleteMovedUser, []any{u.ID, 1}},
		"claimEmail":         {claimEmail, []any{other.Key(), id}},
		"takeEmail":          {takeEmail, []any{email.Key(), id, token}},
		"leaveEmail":         {leaveEmail, []any{email.Key(), u.ID}},
		"releaseEmail":       {releaseEmail, []any{email.Key(), token}},
		"settleEmail":        {settleEmail, []any{email.Key(), token}},
		"fenceUser":          {fenceUser, []any{u.ID, other.Key()}},
		"raiseUser":          {raiseUser, []any{u.ID}},
		"deleteExpiredKeys":  {deleteExpiredKeys, []any{10}},
		"deleteExpiredNotes": {deleteExpiredNotes, []any{10}},
	} {
		err := s.Primary.WithContext(t.Context()).Connection(func(db *gorm.DB) error {
			_, err := db.Statement.ConnPool.ExecContext(t.Context(), test.statement, append([]any{time.Now().Add(-time.Millisecond)}, test.args...)...)
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if after := contents(); after != before {
			t.Fatalf("%s after its deadline made of\n%s\nthis:\n%s", name, before, after)
		}
	}
}

// TestStuckWriteDoesNothing has an update wait for a row's lock until it is past
// its deadline. The answer is that nobody knows; when it wakes, it does nothing.
func TestStuckWriteDoesNothing(t *testing.T) {
	b := setup(t)
	u := b.mustCreate(t, b.emailOn(b.router.All()[0]))
	conn := testcluster.Primary(t, b.cfg, 0)
	testcluster.MustExec(t, conn, "BEGIN")
	testcluster.MustExec(t, conn, "UPDATE users SET name = 'locked' WHERE id = $1", u.ID)

	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	name := entities.Name("stuck")
	_, err := b.Update(ctx, u.ID, entities.Changes{Name: &name}, nil, time.Now())
	if entities.KindOf(err) != entities.OutcomeUnknown || !errors.Is(err, shard.ErrOutcomeUnknown) {
		t.Errorf("got %v of kind %d, want the outcome unknown", err, entities.KindOf(err))
	}
	testcluster.MustExec(t, conn, "COMMIT")
	testcluster.Await(t, func() error {
		const held = "SELECT count(*)::int FROM pg_locks WHERE relation = 'users'::regclass AND mode = 'RowExclusiveLock'"
		if n := testcluster.MustQuery[int](t, conn, held)[0]; n > 0 {
			return fmt.Errorf("%d statements are still running", n)
		}
		return nil
	})
	if got := testcluster.MustQuery[string](t, conn, "SELECT name FROM users WHERE id = $1", u.ID)[0]; got != "locked" {
		t.Errorf("the user is called %q", got)
	}
}

// TestRoundTrips counts what each call says to the primaries. Nobody samples
// replicas here, so they answer reads too.
func TestRoundTrips(t *testing.T) {
	cfg := testcluster.Open(t)
	proxies := make([]*testcluster.Proxy, len(cfg.Shards))
	for i := range cfg.Shards {
		proxies[i] = testcluster.NewProxy(t, cfg.Shards[i].Pooler)
		cfg.Shards[i].Pooler = proxies[i].Addr
	}
	b := open(t, cfg)
	// A Sync ends what is sent at once.
	sent := func() (n int) {
		for _, proxy := range proxies {
			for _, conn := range proxy.Messages() {
				for _, m := range conn {
					if m.Type == 'S' {
						n++
					}
				}
			}
		}
		return n
	}
	shards := b.router.All()
	for _, s := range shards {
		b.mustCreate(t, b.emailOn(s)) // the first write asks for the time besides
	}
	var u entities.User
	name, moved := entities.Name("m"), b.emailOn(shards[1])
	once := b.newUser(t, b.emailOn(shards[0]))
	for _, test := range []struct {
		what string
		want int
		do   func() error
	}{
		{"create", 1, func() error { u = b.mustCreate(t, b.emailOn(shards[0])); return nil }},
		{"create, taken", 2, func() error { return wantConflict(b.Create(t.Context(), b.newUser(t, u.Email))) }},
		{"create once", 2, func() error {
			_, _, err := b.CreateOnce(t.Context(), once, entities.NewOnce("k", once.Name, once.Email, time.Hour))
			return err
		}},
		{"create once, again", 4, func() error {
			_, _, err := b.CreateOnce(t.Context(), once, entities.NewOnce("k", once.Name, once.Email, time.Hour))
			return err
		}},
		{"update", 1, func() error {
			_, err := b.Update(t.Context(), u.ID, entities.Changes{Name: &name}, entities.Versions{1}, time.Now())
			return err
		}},
		{"update, same address", 1, func() error {
			_, err := b.Update(t.Context(), u.ID, entities.Changes{Email: &u.Email}, nil, time.Now())
			return err
		}},
		{"get", 1, func() error {
			_, err := b.ByID(t.Context(), u.ID)
			return err
		}},
		{"get by e-mail", 2, func() error {
			_, err := b.ByEmail(t.Context(), u.Email)
			return err
		}},
		{"change of address", 5, func() error { b.mustChange(t, u.ID, moved); return nil }},
		{"change of address, moved before", 7, func() error { b.mustChange(t, u.ID, b.emailOn(shards[2])); return nil }},
		{"delete, moved", 4, func() error { return b.Delete(t.Context(), u.ID, nil) }},
		{"delete", 1, func() error { return b.Delete(t.Context(), once.ID, nil) }},
	} {
		before := sent()
		if err := test.do(); err != nil {
			t.Errorf("%s: %v", test.what, err)
		}
		if got := sent() - before; got != test.want {
			t.Errorf("%s: %d round trips to primaries, want %d", test.what, got, test.want)
		}
	}
}

func wantConflict(err error) error {
	if entities.KindOf(err) != entities.Conflict {
		return fmt.Errorf("got %w, want a Conflict", err)
	}
	return nil
}
