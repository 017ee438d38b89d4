// Package handlers turns HTTP requests into calls of the services, and what
// they return into answers. Errors are returned as they are; package routes
// makes answers of them.
package handlers

import (
	"context"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v3"
	"github.com/google/uuid"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
)

// userService is the part of services.Users that these handlers call.
type userService interface {
	Create(ctx context.Context, name entities.Name, email entities.Email) (entities.User, error)
	CreateOnce(ctx context.Context, key entities.IdempotencyKey, name entities.Name, email entities.Email) (u entities.User, before bool, err error)
	ByID(ctx context.Context, id uuid.UUID) (entities.User, error)
	ByEmail(ctx context.Context, email entities.Email) (entities.User, error)
	Update(ctx context.Context, id uuid.UUID, c entities.Changes, match entities.Versions) (entities.User, error)
	Delete(ctx context.Context, id uuid.UUID, match entities.Versions) error
	List(ctx context.Context, p entities.Page) (entities.List, error)
}

// Users answers requests about users.
type Users struct {
	svc     userService
	cursors Cursors
}

// NewUsers returns the handlers over a service. Its lists go on by the cursors.
func NewUsers(svc userService, cursors Cursors) *Users { return &Users{svc: svc, cursors: cursors} }

// UsersPath is where the users are.
const UsersPath = "/api/v1/users/"

// userJSON is a user as clients see it.
type userJSON struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Email     string `json:"email"`
	CreatedAt string `json:"created_at"`
	UpdatedAt string `json:"updated_at"`
}

func userToJSON(u entities.User) userJSON {
	return userJSON{
		ID:        u.ID.String(),
		Name:      string(u.Name),
		Email:     string(u.Email),
		CreatedAt: timeToJSON(u.CreatedAt),
		UpdatedAt: timeToJSON(u.UpdatedAt),
	}
}

// Create answers POST /api/v1/users/. With an Idempotency-Key it may be sent
// again until it is answered.
func (h *Users) Create(c fiber.Ctx) error {
	if err := noQuery(c); err != nil {
		return err
	}
	fields, err := readFields(c, "name", "email")
	if err != nil {
		return err
	}
	name, nameErr := requiredField(fields, "name", entities.ParseName)
	email, emailErr := requiredField(fields, "email", entities.ParseEmail)
	key, keyErr := idempotencyKey(c)
	if err := entities.JoinInvalid(nameErr, emailErr, keyErr); err != nil {
		return err
	}
	var u entities.User
	if key == nil {
		u, err = h.svc.Create(c.Context(), name, email)
	} else {
		var before bool
		u, before, err = h.svc.CreateOnce(c.Context(), *key, name, email)
		if before && err == nil {
			c.Set(HeaderReplayed, "true")
		}
	}
	if err != nil {
		return err
	}
	c.Location(UsersPath + u.ID.String())
	c.Status(fiber.StatusCreated)
	return sendUser(c, u)
}

// ByID answers GET /api/v1/users/:id.
func (h *Users) ByID(c fiber.Ctx) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	known, err := ifNoneMatch(c)
	if err != nil {
		return err
	}
	u, err := h.svc.ByID(c.Context(), id)
	if err != nil {
		return err
	}
	if known.Accept(u.Version) {
		c.Set(fiber.HeaderETag, etag(u.Version))
		c.Status(fiber.StatusNotModified)
		return nil
	}
	return sendUser(c, u)
}

// Update answers PUT /api/v1/users/:id. What the body does not name stays as it is.
func (h *Users) Update(c fiber.Ctx) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	fields, err := readFields(c, "name", "email")
	if err != nil {
		return err
	}
	var changes entities.Changes
	var nameErr, emailErr error
	changes.Name, nameErr = optionalField(fields, "name", entities.ParseName)
	changes.Email, emailErr = optionalField(fields, "email", entities.ParseEmail)
	match, matchErr := ifMatch(c)
	if err := entities.JoinInvalid(nameErr, emailErr, matchErr); err != nil {
		return err
	}
	u, err := h.svc.Update(c.Context(), id, changes, match)
	if err != nil {
		return err
	}
	return sendUser(c, u)
}

// Delete answers DELETE /api/v1/users/:id.
func (h *Users) Delete(c fiber.Ctx) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	match, err := ifMatch(c)
	if err != nil {
		return err
	}
	if err := h.svc.Delete(c.Context(), id, match); err != nil {
		return err
	}
	return c.SendStatus(fiber.StatusNoContent)
}

func sendUser(c fiber.Ctx, u entities.User) error {
	c.Set(fiber.HeaderETag, etag(u.Version))
	return c.JSON(userToJSON(u))
}

// pathID parses the id in the path: the 36 characters of a UUID, in any case,
// and none of the other spellings that uuid.Parse takes. What is about one user
// takes no query.
func pathID(c fiber.Ctx) (uuid.UUID, error) {
	if err := noQuery(c); err != nil {
		return uuid.Nil, err
	}
	text := c.Params("id")
	id, err := uuid.Parse(text)
	if err != nil || len(text) != 36 {
		return uuid.Nil, entities.InvalidField("id", "must be a UUID such as 01939f2e-7c1a-7bd2-8f0e-3f5b6c7d8e9f")
	}
	return id, nil
}

// readQuery reads the query, whose names must be among the known ones and stand once.
func readQuery(c fiber.Ctx, known ...string) (map[string]string, error) {
	query := make(map[string]string)
	var errs []error
	for key, value := range c.RequestCtx().QueryArgs().All() {
		name := string(key)
		if !slices.Contains(known, name) {
			errs = append(errs, unknownField(name, known))
			continue
		}
		if _, twice := query[name]; twice {
			errs = append(errs, entities.InvalidField(name, "must be given once"))
			continue
		}
		query[name] = string(value)
	}
	return query, entities.JoinInvalid(errs...)
}

// noQuery refuses a query: a parameter that is ignored is one that somebody
// meant to have an effect.
func noQuery(c fiber.Ctx) error {
	if len(c.Request().URI().QueryString()) == 0 {
		return nil
	}
	_, err := readQuery(c)
	return err
}

func unknownField(name string, known []string) error {
	if len(known) == 0 {
		return entities.InvalidField(printable(name), "is unknown; there are no parameters here")
	}
	return entities.InvalidField(printable(name), "is unknown; known are "+strings.Join(known, ", "))
}

func requiredField[T any](fields map[string]string, name string, parse func(string) (T, error)) (T, error) {
	text, ok := fields[name]
	if !ok {
		var zero T
		return zero, entities.InvalidField(name, "is required")
	}
	return parse(text)
}

func optionalField[T any](fields map[string]string, name string, parse func(string) (T, error)) (*T, error) {
	text, ok := fields[name]
	if !ok {
		return nil, nil //nolint:nilnil // absent is not a failure here
	}
	value, err := parse(text)
	return &value, err
}
