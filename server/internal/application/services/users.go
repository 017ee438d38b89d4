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
}

// NewUsers returns the rules over a repository, with its source of ids and a clock.
func NewUsers(repo repositories.Users, newID func(entities.Email) (uuid.UUID, error), now func() time.Time) *Users {
	return &Users{repo: repo, newID: newID, now: now}
}

// Create makes a new user.
func (s *Users) Create(ctx context.Context, name entities.Name, email entities.Email) (entities.User, error) {
	id, err := s.newID(email)
	if err != nil {
		return entities.User{}, fmt.Errorf("create user: %w", err)
	}
	now := s.storedNow()
	u := entities.User{ID: id, Name: name, Email: email, CreatedAt: now, UpdatedAt: now}
	if err := s.repo.Create(ctx, u); err != nil {
		return entities.User{}, fmt.Errorf("create user %s: %w", id, err)
	}
	return u, nil
}

// ByID returns the user with the id.
func (s *Users) ByID(ctx context.Context, id uuid.UUID) (entities.User, error) {
	u, err := s.repo.ByID(ctx, id)
	if err != nil {
		return entities.User{}, fmt.Errorf("user %s: %w", id, err)
	}
	return u, nil
}

// Update makes the changes, of which there is at least one.
func (s *Users) Update(ctx context.Context, id uuid.UUID, c entities.Changes) (entities.User, error) {
	if c.Name == nil && c.Email == nil {
		return entities.User{}, entities.JoinInvalid(
			entities.InvalidField("name", "is required unless email is given"),
			entities.InvalidField("email", "is required unless name is given"),
		)
	}
	u, err := s.repo.Update(ctx, id, c, s.storedNow())
	if err != nil {
		return entities.User{}, fmt.Errorf("update user %s: %w", id, err)
	}
	return u, nil
}

// Delete removes the user with the id.
func (s *Users) Delete(ctx context.Context, id uuid.UUID) error {
	if err := s.repo.Delete(ctx, id); err != nil {
		return fmt.Errorf("delete user %s: %w", id, err)
	}
	return nil
}

// List returns a page of all users, newest first, and whether more follow.
func (s *Users) List(ctx context.Context, p entities.Page) (users []entities.User, more bool, err error) {
	return s.repo.ListAcross(ctx, p)
}

// storedNow is the time as the database keeps it, in microseconds, so that the
// answer to a create and every later read agree.
func (s *Users) storedNow() time.Time { return s.now().UTC().Truncate(time.Microsecond) }
