// Package repositoriestest says, in tests, what every repositories.Users does.
package repositoriestest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/repositories"
)

// Store is a repository with its source of ids.
type Store interface {
	repositories.Users
	NewID(email entities.Email) (uuid.UUID, error)
}

// Setup is an empty Store, and how to wait until its reads see all its writes.
type Setup struct {
	Store  Store
	Settle func(t testing.TB)
}

// epoch is when the users of these tests are created, with a fraction to keep.
var epoch = time.Date(2026, 11, 21, 12, 0, 0, 123456000, time.UTC)

// Users runs the suite. Each test opens a Store of its own.
func Users(t *testing.T, open func(t testing.TB) Setup) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s Setup)
	}{
		{"Create", testCreate},
		{"EmailIsTaken", testEmailIsTaken},
		{"EmailIsTakenOnce", testEmailIsTakenOnce},
		{"CreateOnce", testCreateOnce},
		{"CreateOnceAtOnce", testCreateOnceAtOnce},
		{"ByEmail", testByEmail},
		{"Absent", testAbsent},
		{"Update", testUpdate},
		{"UpdateToATakenEmail", testUpdateToATakenEmail},
		{"ChangeOfEmail", testChangeOfEmail},
		{"Match", testMatch},
		{"Delete", testDelete},
		{"List", testList},
		{"Walk", testWalk},
		{"WalkThroughChanges", testWalkThroughChanges},
		{"Count", testCount},
		{"Deadline", testDeadline},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

func newUser(t testing.TB, s Setup, email string, created time.Time) entities.User {
	t.Helper()
	id, err := s.Store.NewID(entities.Email(email))
	if err != nil {
		t.Fatal(err)
	}
	return entities.User{ID: id, Name: `Ada "∀" O'Hara\`, Email: entities.Email(email), CreatedAt: created, UpdatedAt: created, Version: 1}
}

func mustCreate(t testing.TB, s Setup, email string, created time.Time) entities.User {
	t.Helper()
	u := newUser(t, s, email, created)
	if err := s.Store.Create(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	return u
}

func wantKind(t testing.TB, err error, want entities.Kind) {
	t.Helper()
	if err == nil || entities.KindOf(err) != want {
		t.Errorf("got error %v of kind %d, want one of kind %d", err, entities.KindOf(err), want)
	}
}

func wantUser(t testing.TB, s Setup, want entities.User) {
	t.Helper()
	got, err := s.Store.ByID(t.Context(), want.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func testCreate(t *testing.T, s Setup) {
	u := mustCreate(t, s, "Ada.Lovelace+x@Example.com", epoch)
	wantUser(t, s, u) // at once: a replica's lag must not show
	s.Settle(t)
	wantUser(t, s, u)
}

func testEmailIsTaken(t *testing.T, s Setup) {
	first := mustCreate(t, s, "ada@example.com", epoch)
	for _, email := range []string{"ada@example.com", "ADA@Example.COM"} {
		second := newUser(t, s, email, epoch)
		wantKind(t, s.Store.Create(t.Context(), second), entities.Conflict)
		_, err := s.Store.ByID(t.Context(), second.ID)
		wantKind(t, err, entities.NotFound)
	}
	wantUser(t, s, first)
}

func testEmailIsTakenOnce(t *testing.T, s Setup) {
	const clients = 16
	errs := make([]error, clients)
	users := make([]entities.User, clients)
	for i := range users {
		users[i] = newUser(t, s, "ada@example.com", epoch)
	}
	var wg sync.WaitGroup
	for i := range users {
		wg.Go(func() { errs[i] = s.Store.Create(t.Context(), users[i]) })
	}
	wg.Wait()
	created := 0
	for _, err := range errs {
		if err == nil {
			created++
			continue
		}
		wantKind(t, err, entities.Conflict)
	}
	if created != 1 {
		t.Errorf("%d of %d creates of one address succeeded, want 1", created, clients)
	}
}

func testAbsent(t *testing.T, s Setup) {
	id := uuid.Must(uuid.NewV7())
	name := entities.Name("Nobody")
	_, err := s.Store.ByID(t.Context(), id)
	wantKind(t, err, entities.NotFound)
	_, err = s.Store.Update(t.Context(), id, entities.Changes{Name: &name}, nil, epoch)
	wantKind(t, err, entities.NotFound)
	wantKind(t, s.Store.Delete(t.Context(), id, nil), entities.NotFound)
	_, err = s.Store.Update(t.Context(), id, entities.Changes{Name: &name}, entities.Versions{1}, epoch)
	wantKind(t, err, entities.NotFound)
	wantKind(t, s.Store.Delete(t.Context(), id, entities.Versions{1}), entities.NotFound)
	_, err = s.Store.ByEmail(t.Context(), "nobody@example.com")
	wantKind(t, err, entities.NotFound)
}

func testUpdate(t *testing.T, s Setup) {
	want := mustCreate(t, s, "ada@example.com", epoch)
	name, email := entities.Name("Augusta"), entities.Email("augusta@example.com")
	for _, change := range []struct {
		changes entities.Changes
		apply   func()
	}{
		{entities.Changes{Name: &name}, func() { want.Name = name }},
		{entities.Changes{Email: &email}, func() { want.Email = email }},
		{entities.Changes{Name: &name, Email: &email}, func() {}},
	} {
		want.UpdatedAt = want.UpdatedAt.Add(time.Second)
		change.apply()
		got, err := s.Store.Update(t.Context(), want.ID, change.changes, nil, want.UpdatedAt)
		if err != nil {
			t.Fatal(err)
		}
		if got.Version <= want.Version {
			t.Errorf("got version %d after version %d", got.Version, want.Version)
		}
		want.Version = got.Version
		if got != want {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		s.Settle(t)
		wantUser(t, s, want)
	}
}

// testUpdateToATakenEmail takes enough users that they are on several shards.
func testUpdateToATakenEmail(t *testing.T, s Setup) {
	first := mustCreate(t, s, "ada@example.com", epoch)
	taken := entities.Email("ADA@example.com")
	var others []entities.User
	for i := range 12 {
		other := mustCreate(t, s, fmt.Sprintf("user%d@example.com", i), epoch)
		others = append(others, other)
		_, err := s.Store.Update(t.Context(), other.ID, entities.Changes{Email: &taken}, nil, epoch)
		wantKind(t, err, entities.Conflict)
	}
	s.Settle(t)
	for _, other := range others {
		wantUser(t, s, other)
	}
	wantUser(t, s, first)
}

// testChangeOfEmail moves users from address to address, over all shards: what
// one leaves is free for the next, what one has is not.
func testChangeOfEmail(t *testing.T, s Setup) {
	const users = 6
	email := func(i, round int) entities.Email {
		return entities.Email(fmt.Sprintf("User%d@example.com", (i+round)%(users+1))) // one address is always free
	}
	all := make([]entities.User, users)
	for i := range all {
		all[i] = mustCreate(t, s, string(email(i, 0)), epoch)
	}
	for round := range 5 {
		for i := users - 1; i >= 0; i-- { // the last first, into the free one
			to := email(i, round+1)
			u, err := s.Store.Update(t.Context(), all[i].ID, entities.Changes{Email: &to}, entities.Versions{all[i].Version}, epoch)
			if err != nil {
				t.Fatalf("round %d: %s to %s: %v", round, all[i].Email, to, err)
			}
			if u.Version <= all[i].Version || u.Email != to {
				t.Fatalf("round %d: got %+v, want a newer version with %s", round, u, to)
			}
			all[i] = u
		}
		s.Settle(t)
		for i, u := range all {
			taken := newUser(t, s, string(u.Email), epoch)
			wantKind(t, s.Store.Create(t.Context(), taken), entities.Conflict)
			got, err := s.Store.ByEmail(t.Context(), u.Email)
			if err != nil || got != u {
				t.Errorf("round %d: user %d: by e-mail %+v, %v; want %+v", round, i, got, err, u)
			}
		}
	}
	for _, u := range all {
		if err := s.Store.Delete(t.Context(), u.ID, nil); err != nil {
			t.Fatal(err)
		}
	}
	for i := range users + 1 {
		mustCreate(t, s, string(email(i, 0)), epoch) // none of the deleted keeps an address
	}
}

func testByEmail(t *testing.T, s Setup) {
	u := mustCreate(t, s, "Ada@Example.com", epoch)
	s.Settle(t)
	for _, email := range []entities.Email{"ada@example.com", "ADA@EXAMPLE.COM"} {
		if got, err := s.Store.ByEmail(t.Context(), email); err != nil || got != u {
			t.Errorf("%s: got %+v, %v; want %+v", email, got, err, u)
		}
	}
	to := entities.Email("augusta@example.com")
	moved, err := s.Store.Update(t.Context(), u.ID, entities.Changes{Email: &to}, nil, epoch)
	if err != nil {
		t.Fatal(err)
	}
	s.Settle(t)
	if got, err := s.Store.ByEmail(t.Context(), to); err != nil || got != moved {
		t.Errorf("%s: got %+v, %v; want %+v", to, got, err, moved)
	}
	_, err = s.Store.ByEmail(t.Context(), u.Email)
	wantKind(t, err, entities.NotFound)
	if err := s.Store.Delete(t.Context(), u.ID, nil); err != nil {
		t.Fatal(err)
	}
	s.Settle(t)
	_, err = s.Store.ByEmail(t.Context(), to)
	wantKind(t, err, entities.NotFound)
}

func testMatch(t *testing.T, s Setup) {
	u := mustCreate(t, s, "ada@example.com", epoch)
	name, email := entities.Name("Augusta"), entities.Email("augusta@example.com")
	for _, c := range []entities.Changes{{Name: &name}, {Email: &email}} {
		for _, match := range []entities.Versions{{}, {u.Version + 1}} {
			_, err := s.Store.Update(t.Context(), u.ID, c, match, epoch)
			wantKind(t, err, entities.PreconditionFailed)
			wantKind(t, s.Store.Delete(t.Context(), u.ID, match), entities.PreconditionFailed)
		}
		s.Settle(t)
		wantUser(t, s, u)
		got, err := s.Store.Update(t.Context(), u.ID, c, entities.Versions{u.Version + 1, u.Version}, epoch)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Store.Update(t.Context(), u.ID, c, entities.Versions{u.Version}, epoch)
		wantKind(t, err, entities.PreconditionFailed)
		u = got
	}
	if err := s.Store.Delete(t.Context(), u.ID, entities.Versions{u.Version}); err != nil {
		t.Fatal(err)
	}
	wantKind(t, s.Store.Delete(t.Context(), u.ID, entities.Versions{u.Version}), entities.NotFound)
}

func once(key string, u entities.User) entities.Once {
	return entities.NewOnce(entities.IdempotencyKey(key), u.Name, u.Email, time.Hour)
}

// wantOnce creates a user under a key, with a new id as each request draws one.
func wantOnce(t testing.TB, s Setup, key, email string, want entities.User, wantBefore bool) entities.User {
	t.Helper()
	u := newUser(t, s, email, epoch.Add(time.Minute))
	got, before, err := s.Store.CreateOnce(t.Context(), u, once(key, u))
	if err != nil {
		t.Fatal(err)
	}
	if want == (entities.User{}) {
		want = u
	}
	if got != want || before != wantBefore {
		t.Errorf("got  %+v, before: %t\nwant %+v, %t", got, before, want, wantBefore)
	}
	return got
}

func testCreateOnce(t *testing.T, s Setup) {
	u := wantOnce(t, s, "k1", "ada@example.com", entities.User{}, false)
	wantOnce(t, s, "k1", "ada@example.com", u, true)
	s.Settle(t)
	wantUser(t, s, u)

	// Another body, whose address may be another shard's, is another request.
	for i := range 12 {
		other := newUser(t, s, fmt.Sprintf("user%d@example.com", i), epoch)
		_, _, err := s.Store.CreateOnce(t.Context(), other, once("k1", other))
		wantKind(t, err, entities.KeyReused)
	}

	// What becomes of the user does not matter.
	to := entities.Email("augusta@example.com")
	if _, err := s.Store.Update(t.Context(), u.ID, entities.Changes{Email: &to}, nil, epoch); err != nil {
		t.Fatal(err)
	}
	wantOnce(t, s, "k1", "ada@example.com", u, true)
	if err := s.Store.Delete(t.Context(), u.ID, nil); err != nil {
		t.Fatal(err)
	}
	wantOnce(t, s, "k1", "ada@example.com", u, true)
	s.Settle(t)
	_, err := s.Store.ByID(t.Context(), u.ID)
	wantKind(t, err, entities.NotFound)

	// A Conflict is not done, and is tried again; the request stays the key's.
	holder := mustCreate(t, s, "grace@example.com", epoch)
	refused := newUser(t, s, "grace@example.com", epoch)
	_, _, err = s.Store.CreateOnce(t.Context(), refused, once("k2", refused))
	wantKind(t, err, entities.Conflict)
	other := newUser(t, s, "alan@example.com", epoch)
	_, _, err = s.Store.CreateOnce(t.Context(), other, once("k2", other))
	wantKind(t, err, entities.KeyReused)
	if err := s.Store.Delete(t.Context(), holder.ID, nil); err != nil {
		t.Fatal(err)
	}
	wantOnce(t, s, "k2", "grace@example.com", refused, false)
	wantOnce(t, s, "k2", "grace@example.com", refused, true)
}

func testCreateOnceAtOnce(t *testing.T, s Setup) {
	const clients = 64
	var (
		wg    sync.WaitGroup
		users [clients]entities.User
		first [clients]bool
		errs  [clients]error
	)
	for i := range clients {
		u := newUser(t, s, "ada@example.com", epoch)
		wg.Go(func() {
			var before bool
			users[i], before, errs[i] = s.Store.CreateOnce(t.Context(), u, once("k", u))
			first[i] = !before
		})
	}
	wg.Wait()
	firsts := 0
	for i := range clients {
		if errs[i] != nil || users[i] != users[0] {
			t.Errorf("client %d got %+v, %v; client 0 %+v", i, users[i], errs[i], users[0])
		}
		if first[i] {
			firsts++
		}
	}
	if firsts != 1 {
		t.Errorf("%d clients created the user, want 1", firsts)
	}
	s.Settle(t)
	wantUser(t, s, users[0])
}

func testDelete(t *testing.T, s Setup) {
	u := mustCreate(t, s, "ada@example.com", epoch)
	kept := mustCreate(t, s, "grace@example.com", epoch)
	if err := s.Store.Delete(t.Context(), u.ID, nil); err != nil {
		t.Fatal(err)
	}
	wantKind(t, s.Store.Delete(t.Context(), u.ID, nil), entities.NotFound)
	s.Settle(t)
	_, err := s.Store.ByID(t.Context(), u.ID)
	wantKind(t, err, entities.NotFound)
	wantUser(t, s, kept)
	mustCreate(t, s, "ada@example.com", epoch) // the address is free again
}

func testCount(t *testing.T, s Setup) {
	for i := range 20 {
		mustCreate(t, s, fmt.Sprintf("user%d@example.com", i), epoch)
	}
	s.Settle(t)
	counts, err := s.Store.CountPerShard(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if total := counts.Total(); total != 20 || len(counts.Missing) > 0 {
		t.Errorf("got %v, %d in all, want 20", counts, total)
	}
}

func testDeadline(t *testing.T, s Setup) {
	u := newUser(t, s, "ada@example.com", epoch)
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	_, err := s.Store.ByID(ctx, u.ID)
	wantKind(t, err, entities.Unavailable)
	wantKind(t, s.Store.Create(ctx, u), entities.Unavailable)
	_, err = s.Store.ListAcross(ctx, mustPage(t, 1, 0))
	wantKind(t, err, entities.Unavailable)
	_, err = s.Store.CountPerShard(ctx)
	wantKind(t, err, entities.Unavailable)

	// Without any shard there is nothing to be lenient with.
	ctx = repositories.WithLenient(ctx)
	_, err = s.Store.ListAcross(ctx, mustPage(t, 1, 0))
	wantKind(t, err, entities.Unavailable)
	_, err = s.Store.CountPerShard(ctx)
	wantKind(t, err, entities.Unavailable)
}
