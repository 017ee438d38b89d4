package repositories

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
)

// A create makes claim and user in one statement. Both belong to one shard, so
// they are there together or not at all.
//
// It must not lock a claim that is not its own: a lock is a write, with its wait
// for the disk, and those who race for one address would wait for each other's.
// So a claim is taken over by a statement of its own, once its token was seen.
const (
	// The function is the database's, so that its plans are kept (000009).
	createUser     = `SELECT create_user($1, $2, $3, $4, $5, $6)`
	createUserOver = claimOver + `$7` + claimEnd + userOfClaim

	// The same for a create that is done once: not if it was, and noting that it is.
	createUserOnce     = `SELECT create_user($1, $2, $3, $4, $5, $6, $7, $8)`
	createUserOnceOver = claimOver + `$9 AND NOT EXISTS (SELECT FROM idempotent_creates WHERE user_id = $3)` + claimEnd + noteOfClaim + userOfClaim

	claimOver = `
WITH claim AS (
    UPDATE email_claims SET user_id = $3, token = gen_random_uuid(), claimed_at = clock_timestamp(), unsettled_at = NULL
     WHERE email_key = $2 AND clock_timestamp() < $1::timestamptz AND token = `

	claimEnd = `
    RETURNING user_id
)`
	noteOfClaim = `, note AS (
    INSERT INTO idempotent_creates (user_id, key_hash, expires_at) SELECT user_id, $7, $8 FROM claim
)`
	userOfClaim = `
INSERT INTO users (id, name, email, created_at, updated_at) SELECT user_id, $4, $5, $6::timestamptz, $6 FROM claim RETURNING true`

	// lookAtClaim says whether a create was done before, whose the claim is, and
	// whether that user carries the address, as far as this shard knows.
	lookAtClaim = `
SELECT clock_timestamp() >= $1::timestamptz, EXISTS (SELECT FROM idempotent_creates WHERE user_id = $3), c.user_id, c.token,
       EXISTS (SELECT FROM users AS u WHERE u.id = c.user_id AND u.email_key = c.email_key)
  FROM (SELECT) AS one LEFT JOIN email_claims AS c ON c.email_key = $2`
)

// Create implements repositories.Users.
func (r *ShardedUsers) Create(ctx context.Context, u entities.User) error {
	_, err := r.createOnce(ctx, creation{User: u})
	return err
}

// createOnce returns whether the user was created before, which is known of a
// create with a note.
func (r *ShardedUsers) createOnce(ctx context.Context, u creation) (before bool, err error) {
	s := r.owner(ctx, u.ID)
	if r.router.For(u.Email.Key()) != s {
		return false, &entities.Error{Err: fmt.Errorf("%s: the id %s was not drawn for its address", s.Name, u.ID)}
	}
	var ended error
	_, err = r.users[s].create.Do(ctx, u, func(ctx context.Context) {
		before, ended = r.create(ctx, s, u)
	})
	if err != nil {
		return false, translate(s.Name, "insert users", err)
	}
	return before, ended
}

func (r *ShardedUsers) create(ctx context.Context, s *shard.Shard, u creation) (before bool, err error) {
	key := u.Email.Key()
	args := []any{key, u.ID, string(u.Name), string(u.Email), u.CreatedAt}
	fresh, over := createUser, createUserOver
	if u.note != nil {
		args = append(args, u.note.key[:], u.note.expires)
		fresh, over = createUserOnce, createUserOnceOver
	}
	var (
		claimant, token *uuid.UUID
		carried         bool
	)
	do := query{fresh, args, nil}
	look := query{lookAtClaim, []any{key, u.ID}, []any{&before, &claimant, &token, &carried}}
	for range attempts(ctx) {
		did, err := writeOrLook(ctx, s, []string{u.ID.String(), key}, do, look)
		switch {
		case violates(err, "idempotent_creates_pkey"), u.note != nil && violates(err, "users_pkey"):
			continue // it was being done at the same time; the next look finds it done
		case err != nil:
			return false, translate(s.Name, "insert user", err)
		case did:
			return false, nil
		case before:
			return true, nil
		case token == nil: // it is gone again
			do.sql, do.args = fresh, args
			continue
		case carried:
			return false, errTaken
		}
		r.at(ctx, "seen")
		free, err := r.fence(ctx, *claimant, key)
		if err != nil {
			return false, err
		}
		if free {
			do.sql, do.args = over, append(slices.Clip(args), *token)
		}
		r.at(ctx, "fenced")
	}
	return false, errCrowded
}
