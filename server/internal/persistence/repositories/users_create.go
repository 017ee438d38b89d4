package repositories

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
)

// A create makes claim and user in one statement. Both belong to one shard, so
// they are there together or not at all.
//
// Most creates find the address free or somebody's, and must not lock a claim
// that is not theirs: a lock is a write, with its wait for the disk, and those
// who race for one address would wait for each other's. So a claim is taken
// over by a statement of its own, once its token ($7) was seen.
var (
	createUser     = newCreateStatements(false)
	createUserOnce = newCreateStatements(true)
)

const (
	onConflictLeave = `AND $7::uuid IS NULL
    ON CONFLICT (email_key) DO NOTHING`
	onConflictTakeOver = `ON CONFLICT (email_key) DO UPDATE
       SET user_id = excluded.user_id, token = excluded.token, claimed_at = excluded.claimed_at, unsettled_at = NULL
     WHERE c.token = $7::uuid AND clock_timestamp() < $1`
)

// createStatements create a user. Where they cannot, they say whether it was
// done before, whose the claim is, and whether that user carries the address,
// as far as this shard knows.
type createStatements struct{ fresh, takeOver string }

// newCreateStatements returns the statements, with those for a create that is
// done once noting that it is done, and doing nothing if it was.
func newCreateStatements(once bool) createStatements {
	unlessDone, note, done := "", "", "false"
	if once {
		done = "EXISTS (SELECT FROM idempotent_creates WHERE user_id = $3)"
		unlessDone = "AND NOT " + done
		note = `, noted AS (
    INSERT INTO idempotent_creates (user_id, key_hash, expires_at) SELECT user_id, $8::bytea, $9::timestamptz FROM claim
)`
	}
	build := func(onConflict string) string {
		return strings.NewReplacer("{unless done}", unlessDone, "{note}", note, "{done}", done, "{on conflict}", onConflict).Replace(`
WITH claim AS (
    INSERT INTO email_claims AS c (email_key, user_id, token, claimed_at)
    SELECT $2::text, $3::uuid, gen_random_uuid(), clock_timestamp()
     WHERE clock_timestamp() < $1::timestamptz {unless done} {on conflict}
    RETURNING user_id
), born AS (
    INSERT INTO users (id, name, email, created_at, updated_at)
    SELECT user_id, $4::text, $5::text, $6::timestamptz, $6::timestamptz FROM claim
){note}
SELECT EXISTS (SELECT FROM claim), clock_timestamp() >= $1, {done}, c.user_id, c.token,
       EXISTS (SELECT FROM users AS u WHERE u.id = c.user_id AND u.email_key = c.email_key)
  FROM (SELECT) AS one LEFT JOIN email_claims AS c ON c.email_key = $2`)
	}
	return createStatements{fresh: build(onConflictLeave), takeOver: build(onConflictTakeOver)}
}

// Create implements repositories.Users.
func (r *ShardedUsers) Create(ctx context.Context, u entities.User) error {
	_, err := r.create(ctx, u, createUser)
	return err
}

// create returns whether the user was created before, which only the statement
// for a create with a record finds out; more are its further arguments.
func (r *ShardedUsers) create(ctx context.Context, u entities.User, statements createStatements, more ...any) (before bool, err error) {
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
		statement := statements.fresh
		if stale != nil {
			statement = statements.takeOver
		}
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

const (
	// recordCreate keeps what is asked for under a key, unless something is kept
	// already, and says what is kept.
	recordCreate = `
WITH fresh AS (
    INSERT INTO idempotency_keys (key_hash, request_hash, user_id, name, email, created_at, expires_at)
    SELECT $2::bytea, $3::bytea, $4::uuid, $5::text, $6::text, $7::timestamptz, clock_timestamp() + $8::bigint * interval '1 microsecond'
     WHERE clock_timestamp() < $1::timestamptz
    ON CONFLICT (key_hash) DO NOTHING
    RETURNING request_hash, user_id, name, email, created_at, expires_at
)
SELECT true, false, request_hash, user_id, name, email, created_at, expires_at, false FROM fresh
UNION ALL
SELECT false, false, request_hash, user_id, name, email, created_at, expires_at, expires_at <= clock_timestamp() FROM idempotency_keys
 WHERE key_hash = $2 AND NOT EXISTS (SELECT FROM fresh)`

	// renewRecord does the same in place of what has expired.
	renewRecord = `
WITH fresh AS (
    UPDATE idempotency_keys
       SET request_hash = $3::bytea, user_id = $4::uuid, name = $5::text, email = $6::text, created_at = $7::timestamptz,
           expires_at = clock_timestamp() + $8::bigint * interval '1 microsecond'
     WHERE key_hash = $2 AND expires_at <= clock_timestamp() AND clock_timestamp() < $1::timestamptz
    RETURNING request_hash, user_id, name, email, created_at, expires_at
)
SELECT true, false, request_hash, user_id, name, email, created_at, expires_at, false FROM fresh`
)

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
	statement := recordCreate
	args := []any{once.Key[:], once.Request[:], u.ID, string(u.Name), string(u.Email), u.CreatedAt, once.TTL.Microseconds()}
	for range attempts(ctx) {
		var (
			row     userRow
			request []byte
			expires time.Time
			expired bool
		)
		// Nobody reads records from a replica, so no key needs to be kept fresh.
		_, err := write(ctx, s, nil, statement, args, &request, &row.ID, &row.Name, &row.Email, &row.CreatedAt, &expires, &expired)
		switch {
		case err != nil:
			return entities.User{}, time.Time{}, translateUnseen(s.Name, "record create", err)
		case expired:
			statement = renewRecord
			continue
		case request == nil: // made, renewed or swept since the statement began
			statement = recordCreate
			continue
		case !bytes.Equal(request, once.Request[:]):
			return entities.User{}, time.Time{}, errKeyReused
		}
		row.UpdatedAt, row.Version = row.CreatedAt, u.Version
		return userFromRow(row), expires, nil
	}
	return entities.User{}, time.Time{}, errCrowded
}
