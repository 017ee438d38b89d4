package repositories

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

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

// createStatements create a user: where there is no claim to the address, and
// in place of one that is stale.
type createStatements struct{ fresh, over string }

// Create implements repositories.Users.
func (r *ShardedUsers) Create(ctx context.Context, u entities.User) error {
	s := r.owner(ctx, u.ID)
	var ended error
	_, err := r.users[s].create.Do(ctx, u, func(ctx context.Context) {
		_, ended = r.create(ctx, u, createStatements{createUser, createUserOver})
	})
	if err != nil {
		return translate(s.Name, "insert users", err)
	}
	return ended
}

// create returns whether the user was created before, which is known of a create
// with a record; more are its further arguments.
func (r *ShardedUsers) create(ctx context.Context, u entities.User, statements createStatements, more ...any) (before bool, err error) {
	key := u.Email.Key()
	s := r.owner(ctx, u.ID)
	if r.router.For(key) != s {
		return false, &entities.Error{Err: fmt.Errorf("%s: the id %s was not drawn for its address", s.Name, u.ID)}
	}
	var (
		claimant, token *uuid.UUID
		carried         bool
	)
	do := query{statements.fresh, append([]any{key, u.ID, string(u.Name), string(u.Email), u.CreatedAt}, more...), nil}
	look := query{lookAtClaim, []any{key, u.ID}, []any{&before, &claimant, &token, &carried}}
	args := do.args
	for range attempts(ctx) {
		did, err := writeOrLook(ctx, s, []string{u.ID.String(), key}, do, look)
		switch {
		case violates(err, "idempotent_creates_pkey"), len(more) > 0 && violates(err, "users_pkey"):
			continue // it was being done at the same time; the next look finds it done
		case err != nil:
			return false, translate(s.Name, "insert user", err)
		case did:
			return false, nil
		case before:
			return true, nil
		case token == nil: // it is gone again
			do.sql, do.args = statements.fresh, args
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
			do.sql, do.args = statements.over, append(slices.Clip(args), *token)
		}
		r.at(ctx, "fenced")
	}
	return false, errCrowded
}

const (
	// recordCreate keeps what is asked for under a key, unless something is kept
	// already.
	recordCreate = `
INSERT INTO idempotency_keys (key_hash, request_hash, user_id, name, email, created_at, expires_at)
SELECT $2, $3, $4, $5, $6, $7, clock_timestamp() + $8::bigint * interval '1 microsecond' WHERE clock_timestamp() < $1::timestamptz
    ON CONFLICT (key_hash) DO NOTHING
RETURNING true, request_hash, user_id, name, email, created_at, expires_at`

	lookAtRecord = `
SELECT clock_timestamp() >= $1::timestamptz, expires_at <= clock_timestamp(), request_hash, user_id, name, email, created_at, expires_at
  FROM idempotency_keys WHERE key_hash = $2`

	// renewRecord does the same in place of what has expired.
	renewRecord = `
UPDATE idempotency_keys
   SET request_hash = $3, user_id = $4, name = $5, email = $6, created_at = $7, expires_at = clock_timestamp() + $8::bigint * interval '1 microsecond'
 WHERE key_hash = $2 AND expires_at <= clock_timestamp() AND clock_timestamp() < $1::timestamptz
RETURNING true, request_hash, user_id, name, email, created_at, expires_at`
)

// noteOutlives is by how much the note that a create was done outlives the
// record of what was asked for: longer than any request that has read the
// record, and than clocks of two shards differ.
const noteOutlives = time.Hour

// CreateOnce implements repositories.Users.
func (r *ShardedUsers) CreateOnce(ctx context.Context, u entities.User, once entities.Once) (entities.User, bool, error) {
	if s := r.owner(ctx, u.ID); s != r.router.For(once.Key.String()) {
		if err := s.RoomToWrite(); err != nil {
			return entities.User{}, false, translate(s.Name, "insert user", err)
		}
	}
	ctx = shard.Visit(ctx)
	recorded, expires, err := r.record(ctx, u, once)
	if err != nil {
		return entities.User{}, false, err
	}
	r.at(ctx, "recorded")
	before, err := r.create(ctx, recorded, createStatements{createUserOnce, createUserOnceOver}, once.Key[:], expires.Add(noteOutlives))
	if err != nil {
		return entities.User{}, false, err
	}
	return recorded, before, nil
}

// record returns the user that is to be created, which another request may have
// recorded, and until when the record holds.
func (r *ShardedUsers) record(ctx context.Context, u entities.User, once entities.Once) (entities.User, time.Time, error) {
	s := r.router.For(once.Key.String())
	var (
		row     userRow
		request []byte
		expires time.Time
		expired bool
	)
	dest := []any{&request, &row.ID, &row.Name, &row.Email, &row.CreatedAt, &expires}
	do := query{recordCreate, []any{once.Key[:], once.Request[:], u.ID, string(u.Name), string(u.Email), u.CreatedAt, once.TTL.Microseconds()}, dest}
	look := query{lookAtRecord, []any{once.Key[:]}, append([]any{&expired}, dest...)}
	for range attempts(ctx) {
		request, expired = nil, false
		// Nobody reads records from a replica, so no key needs to be kept fresh.
		_, err := writeOrLook(ctx, s, nil, do, look)
		switch {
		case err != nil:
			return entities.User{}, time.Time{}, translateUnseen(s.Name, "record create", err)
		case expired:
			do.sql = renewRecord
		case request == nil: // swept since the statement began
			do.sql = recordCreate
		case !bytes.Equal(request, once.Request[:]):
			return entities.User{}, time.Time{}, errKeyReused
		default:
			row.UpdatedAt, row.Version = row.CreatedAt, u.Version
			return userFromRow(row), expires, nil
		}
	}
	return entities.User{}, time.Time{}, errCrowded
}
