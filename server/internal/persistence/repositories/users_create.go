package repositories

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
)

// A create makes claim and user in one statement. Both belong to one shard, so
// they are there together or not at all.
const (
	// createUser makes them, also in place of a claim whose token was seen ($7).
	// Where it cannot, it says whose the claim is and whether they carry the
	// address, as far as this shard knows.
	createUser = createClaim + createUserRow + `
SELECT EXISTS (SELECT FROM claim), clock_timestamp() >= $1, false, c.user_id, c.token` + createClaimant

	// createUserOnce does so unless it was done before, and notes that it is.
	createUserOnce = createClaim + `
       AND NOT EXISTS (SELECT FROM idempotent_creates WHERE user_id = $3)` + createUserRow + `
, noted AS (
    INSERT INTO idempotent_creates (user_id, key_hash, expires_at) SELECT user_id, $8::bytea, $9::timestamptz FROM claim
)
SELECT EXISTS (SELECT FROM claim), clock_timestamp() >= $1,
       EXISTS (SELECT FROM idempotent_creates WHERE user_id = $3), c.user_id, c.token` + createClaimant

	createClaim = `
WITH claim AS (
    INSERT INTO email_claims AS c (email_key, user_id, token, claimed_at)
    SELECT $2::text, $3::uuid, gen_random_uuid(), clock_timestamp()
     WHERE clock_timestamp() < $1::timestamptz`

	createUserRow = `
    ON CONFLICT (email_key) DO UPDATE
       SET user_id = excluded.user_id, token = excluded.token, claimed_at = excluded.claimed_at, unsettled_at = NULL
     WHERE c.token = $7::uuid AND clock_timestamp() < $1
    RETURNING user_id
), born AS (
    INSERT INTO users (id, name, email, created_at, updated_at)
    SELECT user_id, $4::text, $5::text, $6::timestamptz, $6::timestamptz FROM claim
)`

	createClaimant = `,
       EXISTS (SELECT FROM users AS u WHERE u.id = c.user_id AND u.email_key = c.email_key)
  FROM (SELECT) AS one LEFT JOIN email_claims AS c ON c.email_key = $2`
)

// Create implements repositories.Users.
func (r *ShardedUsers) Create(ctx context.Context, u entities.User) error {
	_, err := r.create(ctx, u, createUser)
	return err
}

// create returns whether the user was created before, which only the statement
// for a create with a record finds out; more are its further arguments.
func (r *ShardedUsers) create(ctx context.Context, u entities.User, statement string, more ...any) (before bool, err error) {
	key := u.Email.Key()
	s := r.owner(ctx, u.ID)
	if r.router.For(key) != s {
		return false, &entities.Error{Err: fmt.Errorf("%s: the id %s was not drawn for its address", s.Name, u.ID)}
	}
	var stale *uuid.UUID // the token of a claim behind which nobody stands
	for range attempts(ctx) {
		var (
			claimant, token *uuid.UUID
			carried         bool
		)
		args := append([]any{key, u.ID, string(u.Name), string(u.Email), u.CreatedAt, stale}, more...)
		did, err := write(ctx, s, []string{u.ID.String(), key}, statement, args, &before, &claimant, &token, &carried)
		switch {
		case violates(err, "idempotent_creates_pkey"), len(more) > 0 && violates(err, "users_pkey"):
			continue // it was being done at the same time; the next look finds it done
		case err != nil:
			return false, translate(s.Name, "insert user", err)
		case did:
			return false, nil
		case before:
			return true, nil
		case token == nil: // made after the statement began
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
			stale = token
		}
		r.at(ctx, "fenced")
	}
	return false, errCrowded
}

// recordCreate keeps what is asked for under a key, unless something is kept
// already that has not expired, and says what is kept.
const recordCreate = `
WITH fresh AS (
    INSERT INTO idempotency_keys AS k (key_hash, request_hash, user_id, name, email, created_at, expires_at)
    SELECT $2::bytea, $3::bytea, $4::uuid, $5::text, $6::text, $7::timestamptz, clock_timestamp() + $8::bigint * interval '1 microsecond'
     WHERE clock_timestamp() < $1::timestamptz
    ON CONFLICT (key_hash) DO UPDATE
       SET request_hash = excluded.request_hash, user_id = excluded.user_id, name = excluded.name, email = excluded.email,
           created_at = excluded.created_at, expires_at = excluded.expires_at
     WHERE k.expires_at <= clock_timestamp() AND clock_timestamp() < $1
    RETURNING request_hash, user_id, name, email, created_at, expires_at
)
SELECT true, false, request_hash, user_id, name, email, created_at, expires_at FROM fresh
UNION ALL
SELECT false, clock_timestamp() >= $1, request_hash, user_id, name, email, created_at, expires_at FROM idempotency_keys
 WHERE key_hash = $2 AND expires_at > clock_timestamp() AND NOT EXISTS (SELECT FROM fresh)`

// noteOutlives is by how much the note that a create was done outlives the
// record of what was asked for: longer than any request that has read the
// record, and than clocks of two shards differ.
const noteOutlives = time.Hour

// CreateOnce implements repositories.Users.
func (r *ShardedUsers) CreateOnce(ctx context.Context, u entities.User, once entities.Once) (entities.User, bool, error) {
	recorded, expires, err := r.record(ctx, u, once)
	if err != nil {
		return entities.User{}, false, err
	}
	r.at(ctx, "recorded")
	before, err := r.create(ctx, recorded, createUserOnce, once.Key[:], expires.Add(noteOutlives))
	if err != nil {
		return entities.User{}, false, err
	}
	return recorded, before, nil
}

// record returns the user that is to be created, which another request may have
// recorded, and until when the record holds.
func (r *ShardedUsers) record(ctx context.Context, u entities.User, once entities.Once) (entities.User, time.Time, error) {
	s := r.router.For(once.Key.String())
	args := []any{once.Key[:], once.Request[:], u.ID, string(u.Name), string(u.Email), u.CreatedAt, once.TTL.Microseconds()}
	for range attempts(ctx) {
		var (
			row     userRow
			request []byte
			expires time.Time
		)
		// Nobody reads records from a replica, so no key needs to be kept fresh.
		_, err := write(ctx, s, nil, recordCreate, args, &request, &row.ID, &row.Name, &row.Email, &row.CreatedAt, &expires)
		switch {
		case err != nil:
			return entities.User{}, time.Time{}, translateUnseen(s.Name, "record create", err)
		case request == nil: // made, or renewed, after the statement began
			continue
		case !bytes.Equal(request, once.Request[:]):
			return entities.User{}, time.Time{}, errKeyReused
		}
		row.UpdatedAt, row.Version = row.CreatedAt, u.Version
		return userFromRow(row), expires, nil
	}
	return entities.User{}, time.Time{}, errCrowded
}
