package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// inFlight is how long a change between shards may take before it counts as
// stuck, unless it is marked.
const inFlight = time.Minute

// suspect is a user or a claim that did not look right when it was scanned. Much of that is a change under way between two
// shards, so it is looked at again.
type suspect struct {
	shard int
	id    uuid.UUID // the user's, or the claimant's
	key   string    // the claim's; empty for a user
}

// lookAtUser decides what is wrong with a user, if anything still is.
func (v *verifier) lookAtUser(ctx context.Context, s suspect, r *report) error {
	key, changed, err := v.user(ctx, s.shard, s.id)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // deleted meanwhile
	}
	if err != nil {
		return err
	}
	if home := v.set.Owner(s.id.String()); home != s.shard {
		_, _, err := v.user(ctx, home, s.id)
		switch {
		case err == nil:
			r.add(s.shard, duplicated, fmt.Sprintf("user %s is also on its own shard, %s", s.id, v.names[home]))
		case errors.Is(err, pgx.ErrNoRows):
			r.add(s.shard, misplaced, fmt.Sprintf("user %s belongs on %s", s.id, v.names[home]))
		default:
			return err
		}
		return nil
	}
	home := v.set.Owner(key)
	claimant, pending, err := v.claim(ctx, home, key)
	switch {
	case err == nil && claimant == s.id:
		return nil
	case err != nil && !errors.Is(err, pgx.ErrNoRows):
		return err
	case changed < inFlight || pending:
		r.add(s.shard, changing, "")
	case err != nil:
		r.add(s.shard, orphaned, fmt.Sprintf("user %s carries an address that nobody claims on %s", s.id, v.names[home]))
	default:
		r.add(s.shard, duplicated, fmt.Sprintf("user %s carries an address that is user %s's by the claim on %s", s.id, claimant, v.names[home]))
	}
	return nil
}

// lookAtClaim decides what is wrong with a claim, if anything still is.
func (v *verifier) lookAtClaim(ctx context.Context, s suspect, r *report) error {
	claimant, pending, err := v.claim(ctx, s.shard, s.key)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // released meanwhile
	}
	if err != nil {
		return err
	}
	if home := v.set.Owner(s.key); home != s.shard {
		r.add(s.shard, misplaced, fmt.Sprintf("a claim of user %s belongs on %s", claimant, v.names[home]))
		return nil
	}
	key, _, err := v.user(ctx, v.set.Owner(claimant.String()), claimant)
	switch {
	case err == nil && key == s.key:
		return nil
	case err != nil && !errors.Is(err, pgx.ErrNoRows):
		return err
	case pending:
		r.add(s.shard, changing, "")
	default:
		r.add(s.shard, orphaned, fmt.Sprintf("a claim of user %s, who does not carry the address", claimant))
	}
	return nil
}

// user reads one user's address and for how long it has been as it is.
func (v *verifier) user(ctx context.Context, i int, id uuid.UUID) (key string, unchanged time.Duration, err error) {
	err = v.set.Conns[i].QueryRow(ctx, `SELECT email_key, clock_timestamp() - updated_at FROM users WHERE id = $1`, id).Scan(&key, &unchanged)
	return key, unchanged, err
}

// claim reads who claims an address, and whether that is on its way: marked as unsettled, which the server's sweeper will see to
// however long it has not run (after a restore, say), or made only now.
func (v *verifier) claim(ctx context.Context, i int, key string) (claimant uuid.UUID, pending bool, err error) {
	err = v.set.Conns[i].QueryRow(ctx, `SELECT user_id, unsettled_at IS NOT NULL OR clock_timestamp() - claimed_at < $2 FROM email_claims WHERE email_key = $1`, key, inFlight).
		Scan(&claimant, &pending)
	return claimant, pending, err
}
