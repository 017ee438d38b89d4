package repositories

import (
	"context"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
)

const (
	// updateUser makes changes that leave the user's address the same.
	updateUser = `
UPDATE users
   SET name = coalesce($3, name), email = coalesce($4, email), updated_at = $6, version = version + 1
 WHERE id = $2 AND clock_timestamp() < $1::timestamptz
   AND ($5::text IS NULL OR email_key = $5) AND ($7::bigint[] IS NULL OR version = ANY ($7))
RETURNING true, id, name, email, created_at, updated_at, version`

	lookAtUser = `
SELECT clock_timestamp() >= $1::timestamptz, id, name, email, created_at, updated_at, version FROM users WHERE id = $2`

	// moveUser makes changes that give the user another address, at the version
	// that was read before that address was claimed. The claim of the one before
	// goes with it if it lives on this shard.
	moveUser = `
WITH changed AS (
    UPDATE users
       SET name = coalesce($3::text, name), email = $4::text, updated_at = $6::timestamptz, version = version + 1
     WHERE id = $2 AND version = $5 AND clock_timestamp() < $1::timestamptz
    RETURNING id, name, email, created_at, updated_at, version
), released AS (
    DELETE FROM email_claims AS c USING changed WHERE c.email_key = $7 AND c.user_id = changed.id
)
SELECT true, false, id, name, email, created_at, updated_at, version FROM changed
UNION ALL
SELECT false, true, id, name, email, created_at, updated_at, version FROM users
 WHERE id = $2 AND version = $5 AND clock_timestamp() >= $1 AND NOT EXISTS (SELECT FROM changed)`
)

// changeTimeout bounds a change of address, pauses included, so that it is over
// before the sweeper sees to what is left of it.
const changeTimeout = 20 * time.Second

// Update implements repositories.Users.
func (r *ShardedUsers) Update(ctx context.Context, id uuid.UUID, c entities.Changes, match entities.Versions, now time.Time) (u entities.User, err error) {
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	s := r.owner(ctx, id)
	wanted, ok := updateOf(id, c, match, now)
	if !ok {
		return r.update(ctx, s, id, c, match, now)
	}
	var ended error
	row, err := r.users[s].update.Do(ctx, wanted, func(ctx context.Context) {
		u, ended = r.update(ctx, s, id, c, match, now)
	})
	switch {
	case err != nil:
		return entities.User{}, translate(s.Name, "update users", err)
	case row != nil:
		return userFromRow(*row), nil
	default:
		return u, ended
	}
}

func (r *ShardedUsers) update(ctx context.Context, s *shard.Shard, id uuid.UUID, c entities.Changes, match entities.Versions, now time.Time) (_ entities.User, err error) {
	ctx = shard.Visit(ctx, statementsOf(c))
	mine := claim{UserID: id} // of the new address, if it comes to that
	defer func() {
		if mine.Token != uuid.Nil && !isOpen(err) {
			_ = r.abandon(ctx, c.Email.Key(), mine) // else the sweeper does it
		}
	}()
	for range attempts(ctx) {
		row, did, err := r.updateInPlace(ctx, s, id, c, match, now)
		switch {
		case err != nil:
			return entities.User{}, translate(s.Name, "update user", err)
		case did:
			return userFromRow(row), nil
		case row.ID == uuid.Nil:
			return entities.User{}, errAbsent
		case !match.Accept(row.Version):
			return entities.User{}, errChanged
		case c.Email == nil || entities.Email(row.Email).Key() == c.Email.Key():
			continue // the user has changed between statement and look
		}
		r.at(ctx, "read")
		if home := r.router.For(c.Email.Key()); home != s {
			if err := home.RoomToWrite(ctx); err != nil {
				return entities.User{}, translateUnseen(home.Name, "claim e-mail", err)
			}
		}
		if mine.Token, err = r.claimFor(ctx, c.Email.Key(), id); err != nil {
			return entities.User{}, err
		}
		r.at(ctx, "claimed")
		u, did, err := r.move(ctx, s, row, c, mine.Token, now)
		if err != nil {
			return entities.User{}, err
		}
		if did {
			mine.Token = uuid.Nil
			return u, nil
		}
	}
	return entities.User{}, errCrowded
}

// statementsOf are those of an update that goes alone.
func statementsOf(c entities.Changes) int {
	if c.Email == nil {
		return 1
	}
	return 4 // it may be another address: changed in place, claimed, moved, settled
}

func (r *ShardedUsers) updateInPlace(ctx context.Context, s *shard.Shard, id uuid.UUID, c entities.Changes, match entities.Versions, now time.Time) (row userRow, did bool, err error) {
	do := query{updateUser, []any{id, c.Name, c.Email, keyOf(c), now, int64s(match)}, row.columns()}
	did, err = writeOrLook(ctx, s, []string{id.String()}, do, query{lookAtUser, []any{id}, row.columns()})
	return row, did, err
}

// move changes the user, who was read as row, to an address that is claimed for
// them, and cleans up. Without an error it has not done so if the user has
// changed since.
func (r *ShardedUsers) move(ctx context.Context, s *shard.Shard, row userRow, c entities.Changes, token uuid.UUID, now time.Time) (_ entities.User, did bool, err error) {
	from, to := entities.Email(row.Email).Key(), c.Email.Key()
	var left uuid.UUID
	if r.router.For(from) != s {
		if left, err = r.leave(ctx, from, row.ID); err != nil {
			return entities.User{}, false, err
		}
		r.at(ctx, "left")
	}
	var moved userRow
	args := []any{row.ID, c.Name, c.Email, row.Version, now, from}
	did, err = write(ctx, s, []string{row.ID.String()}, moveUser, args, moved.columns()...)
	if err != nil || !did {
		return entities.User{}, false, translate(s.Name, "change e-mail", err)
	}
	r.at(ctx, "changed")
	// The user is changed, whatever becomes of the rest; the sweeper does what
	// cannot be done now.
	var group errgroup.Group
	group.Go(func() error { return r.settle(ctx, to, token) })
	if left != uuid.Nil {
		group.Go(func() error { return r.release(ctx, from, left) })
	}
	_ = group.Wait()
	return userFromRow(moved), true, nil
}

// isOpen tells whether a write may yet happen after err, or cannot be cleaned up
// after now.
func isOpen(err error) bool {
	kind := entities.KindOf(err)
	return kind == entities.OutcomeUnknown || kind == entities.Unavailable
}

// int64s are the versions as the driver knows them; no condition is NULL.
func int64s(versions entities.Versions) []int64 {
	if versions == nil {
		return nil
	}
	list := make([]int64, 0, len(versions))
	for _, v := range versions {
		list = append(list, int64(v))
	}
	return list
}
