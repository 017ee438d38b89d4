// Package services holds the rules of the service.
package services

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/repositories"
)

// Users holds the rules about users.
type Users struct {
	repo  repositories.Users
	newID func(entities.Email) (uuid.UUID, error)
	now   func() time.Time
	ttl   time.Duration
}

// NewUsers returns the rules over a repository, with its source of ids and a
// clock. Idempotency keys are remembered for the TTL.
func NewUsers(repo repositories.Users, newID func(entities.Email) (uuid.UUID, error), now func() time.Time, ttl time.Duration) *Users {
	return &Users{repo: repo, newID: newID, now: now, ttl: ttl}
}

// Create makes a new user.
func (s *Users) Create(ctx context.Context, name entities.Name, email entities.Email) (entities.User, error) {
	u, err := s.newUser(name, email)
	if err != nil {
		return entities.User{}, err
	}
	if err := s.repo.Create(ctx, u); err != nil {
		return entities.User{}, fmt.Errorf("create user %s: %w", u.ID, err)
	}
	return u, nil
}

// CreateOnce makes a new user unless it did so before under the same key, and
// tells whether it did.
func (s *Users) CreateOnce(ctx context.Context, key entities.IdempotencyKey, name entities.Name, email entities.Email) (_ entities.User, before bool, err error) {
	u, err := s.newUser(name, email)
	if err != nil {
		return entities.User{}, false, err
	}
	u, before, err = s.repo.CreateOnce(ctx, u, entities.NewOnce(key, name, email, s.ttl))
	if err != nil {
		return entities.User{}, false, fmt.Errorf("create user once: %w", err)
	}
	return u, before, nil
}

func (s *Users) newUser(name entities.Name, email entities.Email) (entities.User, error) {
	id, err := s.newID(email)
	if err != nil {
		return entities.User{}, fmt.Errorf("create user: %w", err)
	}
	created := entities.CreatedAt(id)
	return entities.User{ID: id, Name: name, Email: email, CreatedAt: created, UpdatedAt: created, Version: 1}, nil
}

// ByID returns the user with the id.
func (s *Users) ByID(ctx context.Context, id uuid.UUID) (entities.User, error) {
	u, err := s.repo.ByID(ctx, id)
	if err != nil {
		return entities.User{}, fmt.Errorf("user %s: %w", id, err)
	}
	return u, nil
}

// ByEmail returns the user with the address.
func (s *Users) ByEmail(ctx context.Context, email entities.Email) (entities.User, error) {
	u, err := s.repo.ByEmail(ctx, email)
	if err != nil {
		return entities.User{}, fmt.Errorf("user by e-mail: %w", err)
	}
	return u, nil
}

// Update makes the changes, of which there is at least one, to a user of one of
// the versions in match.
func (s *Users) Update(ctx context.Context, id uuid.UUID, c entities.Changes, match entities.Versions) (entities.User, error) {
	if c.Name == nil && c.Email == nil {
		return entities.User{}, entities.JoinInvalid(
			entities.InvalidField("name", "is required unless email is given"),
			entities.InvalidField("email", "is required unless name is given"),
		)
	}
	u, err := s.repo.Update(ctx, id, c, match, s.storedNow())
	if err != nil {
		return entities.User{}, fmt.Errorf("update user %s: %w", id, err)
	}
	return u, nil
}

// Delete removes the user with the id, if of one of the versions in match.
func (s *Users) Delete(ctx context.Context, id uuid.UUID, match entities.Versions) error {
	if err := s.repo.Delete(ctx, id, match); err != nil {
		return fmt.Errorf("delete user %s: %w", id, err)
	}
	return nil
}

// List returns a page of all users, newest first.
func (s *Users) List(ctx context.Context, p entities.Page) (entities.List, error) {
	return s.repo.ListAcross(ctx, p)
}

// storedNow is the time as the database keeps it, in microseconds, so that the
// answer to an update and every later read agree.
func (s *Users) storedNow() time.Time { return s.now().UTC().Truncate(time.Microsecond) }
