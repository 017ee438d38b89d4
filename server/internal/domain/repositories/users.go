// Package repositories says what the rules of the service need of its storage.
package repositories

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
)

// Users stores users. Its errors are of these kinds:
//
//   - NotFound: no user has the id, or the address. Absent is never a zero value
//     with a nil error.
//   - Conflict: another user has the e-mail address, in whatever case.
//   - PreconditionFailed: the user is there, of a version that is not accepted.
//   - KeyReused: something else was asked for under the idempotency key.
//   - Unavailable: a shard that is needed does not answer in time. A write has
//     then done nothing.
//   - Contended: others kept changing the user or the address. It has done
//     nothing.
//   - OutcomeUnknown: a write was sent and not answered. It may have happened.
//   - Internal: anything else.
//
// No two users ever have one address, whichever shards they are on.
type Users interface {
	// Create stores a new user, of version 1. The id must come from the storage's
	// own id source, drawn for the address: it decides which shard the user is
	// born on.
	Create(ctx context.Context, u entities.User) error

	// CreateOnce is Create, done once however often, and from however many
	// places at a time, it is called with the same Once. It returns the user as
	// first created, whatever was done to them since, and whether that was
	// before this call. A create that ends in a Conflict counts as not done.
	CreateOnce(ctx context.Context, u entities.User, once entities.Once) (created entities.User, before bool, err error)

	// ByID returns the user with the id. What has just been created is found;
	// what has just been changed or deleted may for a moment, a replica's lag,
	// still be seen as it was.
	ByID(ctx context.Context, id uuid.UUID) (entities.User, error)

	// ByEmail returns the user with the address, in whatever case.
	ByEmail(ctx context.Context, email entities.Email) (entities.User, error)

	// Update makes the changes, and nothing else, at the time now, if the user
	// is of one of the versions in match, and returns the user as it then is,
	// of a new version.
	Update(ctx context.Context, id uuid.UUID, c entities.Changes, match entities.Versions, now time.Time) (entities.User, error)

	// Delete removes the user with the id, if they are of one of the versions in
	// match. The address is free then.
	Delete(ctx context.Context, id uuid.UUID, match entities.Versions) error

	// ListAcross returns a page of the users of all shards, newest first, which
	// is by id. One shard that does not answer fails it, or is Missing from it
	// for a reader who is lenient; none that answers fails it anyhow.
	//
	// Pages that follow one another by their cursors keep the promise of
	// entities.Cursor. Where reads are strong, everybody is in the first page's
	// AsOf who was acknowledged before.
	ListAcross(ctx context.Context, p entities.Page) (entities.List, error)

	// CountPerShard counts the users of every shard, in the shards' order. One
	// shard that does not answer fails it, or is Missing, as from a list.
	CountPerShard(ctx context.Context) (entities.ShardCounts, error)
}
