// Package repositoriestest says, in tests, what every repositories.Users does.
package repositoriestest

import (
	"context"
	"fmt"
	"slices"
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
		{"Absent", testAbsent},
		{"Update", testUpdate},
		{"UpdateToATakenEmail", testUpdateToATakenEmail},
		{"Delete", testDelete},
		{"List", testList},
		{"ListOrder", testListOrder},
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
	return entities.User{ID: id, Name: `Ada "∀" O'Hara\`, Email: entities.Email(email), CreatedAt: created, UpdatedAt: created}
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
	_, err = s.Store.Update(t.Context(), id, entities.Changes{Name: &name}, epoch)
	wantKind(t, err, entities.NotFound)
	wantKind(t, s.Store.Delete(t.Context(), id), entities.NotFound)
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
		got, err := s.Store.Update(t.Context(), want.ID, change.changes, want.UpdatedAt)
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		s.Settle(t)
		wantUser(t, s, want)
	}
}

func testUpdateToATakenEmail(t *testing.T, s Setup) {
	// Addresses are unique per shard under updates, so find two that share one:
	// ids drawn for one address land on its shard.
	first := mustCreate(t, s, "ada@example.com", epoch)
	second := newUser(t, s, "ada@example.com", epoch)
	second.Email = "grace@example.com"
	if err := s.Store.Create(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	taken := entities.Email("ADA@example.com")
	_, err := s.Store.Update(t.Context(), second.ID, entities.Changes{Email: &taken}, epoch)
	wantKind(t, err, entities.Conflict)
	wantUser(t, s, first)
	wantUser(t, s, second)
}

func testDelete(t *testing.T, s Setup) {
	u := mustCreate(t, s, "ada@example.com", epoch)
	kept := mustCreate(t, s, "grace@example.com", epoch)
	if err := s.Store.Delete(t.Context(), u.ID); err != nil {
		t.Fatal(err)
	}
	wantKind(t, s.Store.Delete(t.Context(), u.ID), entities.NotFound)
	s.Settle(t)
	_, err := s.Store.ByID(t.Context(), u.ID)
	wantKind(t, err, entities.NotFound)
	wantUser(t, s, kept)
	mustCreate(t, s, "ada@example.com", epoch) // the address is free again
}

func mustPage(t testing.TB, limit, offset int) entities.Page {
	t.Helper()
	p, err := entities.NewPage(limit, offset)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func testList(t *testing.T, s Setup) {
	const total = 25
	want := make([]entities.User, total) // newest first
	for i := range want {
		want[total-1-i] = mustCreate(t, s, fmt.Sprintf("user%d@example.com", i), epoch.Add(time.Duration(i)*time.Microsecond))
	}
	s.Settle(t)
	for _, limit := range []int{1, 7, 24, 25, 100} {
		for offset := 0; offset <= total+limit; offset += limit {
			got, more, err := s.Store.ListAcross(t.Context(), mustPage(t, limit, offset))
			if err != nil {
				t.Fatal(err)
			}
			from, to := min(offset, total), min(offset+limit, total)
			if !slices.Equal(got, want[from:to]) {
				t.Errorf("limit %d, offset %d: got %d users, want users %d to %d", limit, offset, len(got), from, to)
			}
			if more != (to < total) {
				t.Errorf("limit %d, offset %d: more = %t, want %t", limit, offset, more, to < total)
			}
		}
	}
}

func testListOrder(t *testing.T, s Setup) {
	for i := range 12 { // all in one microsecond: the id decides
		mustCreate(t, s, fmt.Sprintf("user%d@example.com", i), epoch)
	}
	s.Settle(t)
	users, _, err := s.Store.ListAcross(t.Context(), mustPage(t, 100, 0))
	if err != nil {
		t.Fatal(err)
	}
	descending := slices.IsSortedFunc(users, func(a, b entities.User) int {
		return slices.Compare(b.ID[:], a.ID[:])
	})
	if len(users) != 12 || !descending {
		t.Errorf("got %d users, descending by id: %t; want 12, true", len(users), descending)
	}
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
	if total := (entities.ShardCounts{Shards: counts}).Total(); total != 20 {
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
	_, _, err = s.Store.ListAcross(ctx, mustPage(t, 1, 0))
	wantKind(t, err, entities.Unavailable)
	_, err = s.Store.CountPerShard(ctx)
	wantKind(t, err, entities.Unavailable)
}
