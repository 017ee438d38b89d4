package services

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/repositories/repositoriestest"
)

// clock stands still, between two microseconds and in another zone: it is the
// time of updates, not of creates, whose ids tell it.
var clock = time.Date(2026, 11, 21, 13, 0, 0, 123456789, time.FixedZone("CET", 3600))

func setup() (*Users, *repositoriestest.Fake) {
	fake := repositoriestest.NewFake()
	return NewUsers(fake, fake.NewID, func() time.Time { return clock }, time.Hour), fake
}

func TestCreatedUserIsTheStoredOne(t *testing.T) {
	t.Parallel()
	users, fake := setup()
	u, err := users.Create(t.Context(), "Ada", "Ada@example.com")
	if err != nil {
		t.Fatal(err)
	}
	if want := entities.CreatedAt(u.ID); u.CreatedAt != want || u.UpdatedAt != want {
		t.Errorf("created at %s, updated at %s; want %s, as the id says", u.CreatedAt, u.UpdatedAt, want)
	}
	stored, err := fake.ByID(t.Context(), u.ID)
	if err != nil || stored != u {
		t.Errorf("stored %v, %v; want %v", stored, err, u)
	}
}

func TestUpdatedUserIsTheStoredOne(t *testing.T) {
	t.Parallel()
	users, fake := setup()
	u, err := users.Create(t.Context(), "Ada", "Ada@example.com")
	if err != nil {
		t.Fatal(err)
	}
	name := entities.Name("Augusta")
	updated, err := users.Update(t.Context(), u.ID, entities.Changes{Name: &name}, nil)
	want := time.Date(2026, 11, 21, 12, 0, 0, 123456000, time.UTC)
	if err != nil || updated.UpdatedAt != want {
		t.Errorf("updated at %s, %v; want %s, as the database keeps it", updated.UpdatedAt, err, want)
	}
	stored, err := fake.ByID(t.Context(), u.ID)
	if err != nil || stored != updated {
		t.Errorf("stored %v, %v; want %v", stored, err, updated)
	}
}

func TestErrorsKeepTheirKind(t *testing.T) {
	t.Parallel()
	users, _ := setup()
	if _, err := users.Create(t.Context(), "Ada", "ada@example.com"); err != nil {
		t.Fatal(err)
	}
	name, absent := entities.Name("Grace"), uuid.Must(uuid.NewV7())
	_, create := users.Create(t.Context(), "Ada", "ADA@example.com")
	_, byID := users.ByID(t.Context(), absent)
	_, update := users.Update(t.Context(), absent, entities.Changes{Name: &name}, nil)
	_, nothing := users.Update(t.Context(), absent, entities.Changes{}, nil)
	for _, test := range []struct {
		what string
		err  error
		want entities.Kind
	}{
		{"a second create", create, entities.Conflict},
		{"reading nobody", byID, entities.NotFound},
		{"updating nobody", update, entities.NotFound},
		{"updating nothing", nothing, entities.Invalid},
		{"deleting nobody", users.Delete(t.Context(), absent, nil), entities.NotFound},
	} {
		if test.err == nil || entities.KindOf(test.err) != test.want {
			t.Errorf("%s: got %v, want kind %d", test.what, test.err, test.want)
		}
	}
}

func TestNoIDNoUser(t *testing.T) {
	t.Parallel()
	dry := errors.New("no entropy")
	fake := repositoriestest.NewFake()
	users := NewUsers(fake, func(entities.Email) (uuid.UUID, error) { return uuid.Nil, dry }, time.Now, time.Hour)
	if _, err := users.Create(t.Context(), "Ada", "ada@example.com"); !errors.Is(err, dry) {
		t.Errorf("got %v, want %v", err, dry)
	}
}
