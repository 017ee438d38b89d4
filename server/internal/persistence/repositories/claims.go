package repositories

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// The statements about claims, and the fence. docs/FOREIGN_KEYS.md tells why
// they suffice that no two users ever carry one address.
const (
	// claimEmail makes a claim, and else says whose it is.
	claimEmail = `
WITH mine AS (
    INSERT INTO email_claims (email_key, user_id, token, claimed_at, unsettled_at)
    SELECT $2::text, $3::uuid, gen_random_uuid(), clock_timestamp(), clock_timestamp()
     WHERE clock_timestamp() < $1::timestamptz
    ON CONFLICT (email_key) DO NOTHING
    RETURNING user_id, token
)
SELECT true, false, user_id, token FROM mine
UNION ALL
SELECT false, clock_timestamp() >= $1, user_id, token FROM email_claims WHERE email_key = $2 AND NOT EXISTS (SELECT FROM mine)`

	// takeEmail makes a claim anew whose token was seen.
	takeEmail = `
WITH mine AS (
    UPDATE email_claims SET user_id = $3, token = gen_random_uuid(), claimed_at = clock_timestamp(), unsettled_at = clock_timestamp()
     WHERE email_key = $2 AND token = $4 AND clock_timestamp() < $1::timestamptz
    RETURNING token
)
SELECT m.token IS NOT NULL, clock_timestamp() >= $1, m.token FROM (SELECT) AS one LEFT JOIN mine AS m ON true`

	// leaveEmail announces that a user is going to carry the address no more.
	leaveEmail = `
WITH left_behind AS (
    UPDATE email_claims SET token = gen_random_uuid(), unsettled_at = clock_timestamp()
     WHERE email_key = $2 AND user_id = $3 AND clock_timestamp() < $1::timestamptz
    RETURNING token
)
SELECT l.token IS NOT NULL, clock_timestamp() >= $1, l.token FROM (SELECT) AS one LEFT JOIN left_behind AS l ON true`

	releaseEmail = `
WITH released AS (
    DELETE FROM email_claims WHERE email_key = $2 AND token = $3 AND clock_timestamp() < $1::timestamptz RETURNING 1
)
SELECT EXISTS (SELECT FROM released), clock_timestamp() >= $1`

	settleEmail = `
WITH settled AS (
    UPDATE email_claims SET unsettled_at = NULL WHERE email_key = $2 AND token = $3 AND clock_timestamp() < $1::timestamptz RETURNING 1
)
SELECT EXISTS (SELECT FROM settled), clock_timestamp() >= $1`

	// fenceUser raises the version of a user who does not carry the address:
	// whatever was about to give it to them will find the version changed.
	fenceUser = `
WITH fenced AS (
    UPDATE users SET version = version + 1
     WHERE id = $2 AND email_key <> $3 AND clock_timestamp() < $1::timestamptz
    RETURNING 1
)
SELECT EXISTS (SELECT FROM fenced), clock_timestamp() >= $1, u.email_key
  FROM (SELECT) AS one LEFT JOIN users AS u ON u.id = $2`

	// raiseUser does so whatever the user carries, and says what.
	raiseUser = `
WITH raised AS (
    UPDATE users SET version = version + 1 WHERE id = $2 AND clock_timestamp() < $1::timestamptz RETURNING email_key
)
SELECT r.email_key IS NOT NULL, clock_timestamp() >= $1, r.email_key FROM (SELECT) AS one LEFT JOIN raised AS r ON true`
)

// claimRow is a claim as the table has it.
type claimRow struct {
	EmailKey    string    `gorm:"primaryKey"`
	UserID      uuid.UUID `gorm:"type:uuid"`
	Token       uuid.UUID `gorm:"type:uuid"`
	UnsettledAt *time.Time
}

// TableName implements gorm's schema.Tabler.
func (claimRow) TableName() string { return "email_claims" }

// claim is what says who may carry an address.
type claim struct {
	UserID uuid.UUID
	Token  uuid.UUID
}

// claimFor gives the address to the user, who does not carry it yet, and
// returns the claim's token. It is a Conflict if somebody else carries it.
//
// The version at which the user is changed later must have been read before:
// that is what makes a fence set from now on hold.
func (r *ShardedUsers) claimFor(ctx context.Context, key string, id uuid.UUID) (token uuid.UUID, err error) {
	home := r.router.For(key)
	for range attempts(ctx) {
		var found claim
		did, err := write(ctx, home, []string{key}, claimEmail, []any{key, id}, &found.UserID, &found.Token)
		switch {
		case err != nil:
			return uuid.Nil, translateUnseen(home.Name, "claim e-mail", err)
		case did:
			return found.Token, nil
		case found.Token == uuid.Nil: // made after the statement began
			continue
		}
		r.at(ctx, "seen")
		// An own claim is left from a change that has not come to its end. If it
		// still does, the user carries the address, under the new claim.
		if found.UserID != id {
			free, err := r.fence(ctx, found.UserID, key)
			if err != nil {
				return uuid.Nil, err
			}
			if !free {
				continue
			}
		}
		r.at(ctx, "fenced")
		var token *uuid.UUID
		did, err = write(ctx, home, []string{key}, takeEmail, []any{key, id, found.Token}, &token)
		if err != nil {
			return uuid.Nil, translateUnseen(home.Name, "take over e-mail", err)
		}
		if did {
			return *token, nil
		}
	}
	return uuid.Nil, errCrowded
}

// fence makes sure that the user does not carry the address and that no change
// that has begun can make them. It is a Conflict if they do carry it; it is not
// free, without an error, if it is worth another look.
func (r *ShardedUsers) fence(ctx context.Context, id uuid.UUID, key string) (free bool, err error) {
	s := r.router.For(id.String())
	var carried *string
	did, err := write(ctx, s, []string{id.String()}, fenceUser, []any{id, key}, &carried)
	switch {
	case err != nil:
		return false, translateUnseen(s.Name, "fence user", err)
	case did, carried == nil: // deleted, and ids are not used twice
		return true, nil
	case *carried == key:
		return false, errTaken
	}
	return false, nil
}

// leave announces that the user is going to carry the address no more. Without
// it, a crash in between would leave a claim that the sweeper does not know of.
func (r *ShardedUsers) leave(ctx context.Context, key string, id uuid.UUID) (token uuid.UUID, err error) {
	home := r.router.For(key)
	var left *uuid.UUID
	did, err := write(ctx, home, []string{key}, leaveEmail, []any{key, id}, &left)
	if err != nil {
		return uuid.Nil, translateUnseen(home.Name, "leave e-mail", err)
	}
	if !did {
		return uuid.Nil, nil // no claim, as of before there were claims: nothing to release
	}
	return *left, nil
}

// release ends a claim behind which nobody stands any more.
func (r *ShardedUsers) release(ctx context.Context, key string, token uuid.UUID) error {
	home := r.router.For(key)
	_, err := write(ctx, home, []string{key}, releaseEmail, []any{key, token})
	return translateUnseen(home.Name, "release e-mail", err)
}

// settle notes that the claim's user carries the address. Nothing that was begun
// before the user did may still take it from them: it would leave behind a claim
// that looks settled.
func (r *ShardedUsers) settle(ctx context.Context, key string, token uuid.UUID) error {
	home := r.router.For(key)
	_, err := write(ctx, home, []string{key}, settleEmail, []any{key, token})
	return translateUnseen(home.Name, "settle e-mail", err)
}

// abandon ends the claim of a change that will not be made. Another change of
// the same user, to the same address, may have been: then the claim is that
// one's, and it stays with the sweeper to settle it.
func (r *ShardedUsers) abandon(ctx context.Context, key string, c claim) error {
	free, err := r.fence(ctx, c.UserID, key)
	if err != nil || !free {
		return err
	}
	r.at(ctx, "abandoned")
	return r.release(ctx, key, c.Token)
}

// judge ends every change of the claim's user that has begun, and then tells
// whether they carry the address.
func (r *ShardedUsers) judge(ctx context.Context, key string, c claim) (carried bool, err error) {
	s := r.router.For(c.UserID.String())
	var email *string
	_, err = write(ctx, s, []string{c.UserID.String()}, raiseUser, []any{c.UserID}, &email)
	return email != nil && *email == key, translateUnseen(s.Name, "raise user's version", err)
}

// at tells a test how far a write has got.
func (r *ShardedUsers) at(ctx context.Context, step string) {
	if r.reached != nil {
		r.reached(ctx, step)
	}
}
