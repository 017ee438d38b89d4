package tracing

import (
	"context"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
)

// usersService is what Users makes spans of.
type usersService interface {
	Create(ctx context.Context, name entities.Name, email entities.Email) (entities.User, error)
	CreateOnce(ctx context.Context, key entities.IdempotencyKey, name entities.Name, email entities.Email) (u entities.User, before bool, err error)
	ByID(ctx context.Context, id uuid.UUID) (entities.User, error)
	ByEmail(ctx context.Context, email entities.Email) (entities.User, error)
	Update(ctx context.Context, id uuid.UUID, c entities.Changes, match entities.Versions) (entities.User, error)
	Delete(ctx context.Context, id uuid.UUID, match entities.Versions) error
	List(ctx context.Context, p entities.Page) (entities.List, error)
}

// Users is the service of users with a span around each call.
type Users struct {
	svc    usersService
	tracer trace.Tracer
}

// NewUsers returns the service with spans.
func NewUsers(svc usersService, tracer trace.Tracer) Users { return Users{svc, tracer} }

// spanned calls what is spanned by the name. That somebody is not there, or taken, is
// no failure.
func spanned[T any](ctx context.Context, tracer trace.Tracer, name string, call func(context.Context) (T, error)) (T, error) {
	ctx, span := tracer.Start(ctx, name)
	defer span.End()
	v, err := call(ctx)
	if err == nil {
		return v, nil
	}
	switch entities.KindOf(err) {
	case entities.Internal, entities.Unavailable, entities.OutcomeUnknown, entities.Contended:
		span.SetStatus(codes.Error, err.Error())
	default:
	}
	return v, err
}

// Create implements the service.
func (u Users) Create(ctx context.Context, name entities.Name, email entities.Email) (entities.User, error) {
	return spanned(ctx, u.tracer, "users.Create", func(ctx context.Context) (entities.User, error) { return u.svc.Create(ctx, name, email) })
}

// CreateOnce implements the service.
func (u Users) CreateOnce(ctx context.Context, key entities.IdempotencyKey, name entities.Name, email entities.Email) (created entities.User, before bool, err error) {
	created, err = spanned(ctx, u.tracer, "users.CreateOnce", func(ctx context.Context) (created entities.User, err error) {
		created, before, err = u.svc.CreateOnce(ctx, key, name, email)
		return created, err
	})
	return created, before, err
}

// ByID implements the service.
func (u Users) ByID(ctx context.Context, id uuid.UUID) (entities.User, error) {
	return spanned(ctx, u.tracer, "users.ByID", func(ctx context.Context) (entities.User, error) { return u.svc.ByID(ctx, id) })
}

// ByEmail implements the service.
func (u Users) ByEmail(ctx context.Context, email entities.Email) (entities.User, error) {
	return spanned(ctx, u.tracer, "users.ByEmail", func(ctx context.Context) (entities.User, error) { return u.svc.ByEmail(ctx, email) })
}

// Update implements the service.
func (u Users) Update(ctx context.Context, id uuid.UUID, c entities.Changes, match entities.Versions) (entities.User, error) {
	return spanned(ctx, u.tracer, "users.Update", func(ctx context.Context) (entities.User, error) { return u.svc.Update(ctx, id, c, match) })
}

// Delete implements the service.
func (u Users) Delete(ctx context.Context, id uuid.UUID, match entities.Versions) error {
	_, err := spanned(ctx, u.tracer, "users.Delete", func(ctx context.Context) (struct{}, error) { return struct{}{}, u.svc.Delete(ctx, id, match) })
	return err
}

// List implements the service.
func (u Users) List(ctx context.Context, p entities.Page) (entities.List, error) {
	return spanned(ctx, u.tracer, "users.List", func(ctx context.Context) (entities.List, error) { return u.svc.List(ctx, p) })
}
