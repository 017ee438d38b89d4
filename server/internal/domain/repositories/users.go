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
//   - NotFound: no user has the id. Absent is never a zero value with a nil error.
//   - Conflict: another user has the e-mail address, in whatever case.
//   - Unavailable: a shard that is needed does not answer in time. What a write
//     did is then unknown: it may have happened.
//   - Internal: anything else.
type Users interface {
	// Create stores a new user. The id must come from the storage's own id
	// source: it decides which shard the user is born on, and only there is
	// the e-mail address known to be free.
	Create(ctx context.Context, u entities.User) error

	// ByID returns the user with the id. What has just been created is found;
	// what has just been changed or deleted may for a moment, a replica's lag,
	// still be seen as it was.
	ByID(ctx context.Context, id uuid.UUID) (entities.User, error)

	// Update makes the changes, and nothing else, at the time now and returns
	// the user as it then is.
	Update(ctx context.Context, id uuid.UUID, c entities.Changes, now time.Time) (entities.User, error)

	// Delete removes the user with the id.
	Delete(ctx context.Context, id uuid.UUID) error

	// ListAcross returns a page of the users of all shards, newest first, and
	// whether more come after it. One shard that does not answer fails it.
	ListAcross(ctx context.Context, p entities.Page) (users []entities.User, more bool, err error)

	// CountPerShard counts the users of every shard, in the shards' order. One
	// shard that does not answer fails it.
	CountPerShard(ctx context.Context) ([]entities.ShardCount, error)
}
