package repositories

import (
	"context"

	"github.com/google/uuid"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
)

const (
	// deleteUser deletes a user whose claim lives on this shard, and the claim,
	// and else says how the user is.
	deleteUser = `
WITH gone AS (
    DELETE FROM users AS u
     WHERE id = $2 AND clock_timestamp() < $1::timestamptz AND ($3::bigint[] IS NULL OR version = ANY ($3))
       AND EXISTS (SELECT FROM email_claims AS c WHERE c.email_key = u.email_key AND c.user_id = u.id)
    RETURNING id, email_key
), released AS (
    DELETE FROM email_claims AS c USING gone WHERE c.email_key = gone.email_key AND c.user_id = gone.id
)
SELECT EXISTS (SELECT FROM gone), clock_timestamp() >= $1, version, email_key FROM users WHERE id = $2`

	// deleteMovedUser deletes a user whose claim lives elsewhere.
	deleteMovedUser = `
WITH gone AS (
    DELETE FROM users WHERE id = $2 AND version = $3 AND clock_timestamp() < $1::timestamptz RETURNING 1
)
SELECT EXISTS (SELECT FROM gone), clock_timestamp() >= $1`
)

// Delete implements repositories.Users.
func (r *ShardedUsers) Delete(ctx context.Context, id uuid.UUID, match entities.Versions) error {
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	s := r.owner(ctx, id)
	wanted, ok := deletionOf(id, match)
	if !ok {
		return r.delete(ctx, s, id, match)
	}
	var ended error
	did, err := r.users[s].remove.Do(ctx, wanted, func(ctx context.Context) {
		ended = r.delete(ctx, s, id, match)
	})
	switch {
	case err != nil:
		return translate(s.Name, "delete users", err)
	case did != nil:
		return nil
	default:
		return ended
	}
}

func (r *ShardedUsers) delete(ctx context.Context, s *shard.Shard, id uuid.UUID, match entities.Versions) error {
	ctx = shard.Visit(ctx, 1) // but for those who live elsewhere
	for range attempts(ctx) {
		var (
			version entities.Version
			key     string
		)
		did, err := write(ctx, s, []string{id.String()}, deleteUser, []any{id, int64s(match)}, &version, &key)
		switch {
		case err != nil:
			return translate(s.Name, "delete user", err)
		case did:
			return nil
		case key == "":
			return errAbsent
		case !match.Accept(version):
			return errChanged
		}
		r.at(ctx, "read")
		if did, err = r.deleteMoved(ctx, s, id, version, key); err != nil || did {
			return err
		}
	}
	return errCrowded
}

// deleteMoved deletes a user, if they are still of the version, whose address
// belongs to another shard.
func (r *ShardedUsers) deleteMoved(ctx context.Context, s *shard.Shard, id uuid.UUID, version entities.Version, key string) (did bool, err error) {
	if err := r.router.For(key).RoomToWrite(ctx); err != nil {
		return false, translateUnseen(r.router.For(key).Name, "leave e-mail", err)
	}
	left, err := r.leave(ctx, key, id)
	if err != nil {
		return false, err
	}
	r.at(ctx, "left")
	did, err = write(ctx, s, []string{id.String()}, deleteMovedUser, []any{id, version})
	if err != nil || !did {
		return false, translate(s.Name, "delete user", err)
	}
	r.at(ctx, "deleted")
	if left != uuid.Nil {
		_ = r.release(ctx, key, left) // else the sweeper does it
	}
	return true, nil
}
