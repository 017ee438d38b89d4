package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
)

const (
	// pageSize rows are read at a time, so that no snapshot holds back vacuum for long.
	pageSize = 10_000
	// inFlight is how long a change between shards may take before it counts as
	// stuck; the sweeper settles those after the same time.
	inFlight = time.Minute
)

// verifier holds a connection per shard, straight to the primaries.
type verifier struct {
	names    []string
	conns    []*pgx.Conn // each used by one goroutine at a time
	index    map[string]int
	ring     *shard.Ring // nil with one shard
	progress *progress
}

func connect(ctx context.Context, cfg config.Config) (*verifier, error) {
	v := &verifier{index: make(map[string]int), progress: newProgress(len(cfg.Shards))}
	for i, s := range cfg.Shards {
		v.names = append(v.names, s.Name)
		v.index[s.Name] = i
		attempt, cancel := context.WithTimeout(ctx, 2*cfg.DBConnectTimeout)
		conn, err := pgx.Connect(attempt, cfg.DatabaseURL(s.Primary, cfg.DBOwner, cfg.DBOwnerPassword).String())
		cancel()
		if err != nil {
			v.close()
			return nil, fmt.Errorf("%s: connect to its primary at %s: %w", s.Name, s.Primary, err)
		}
		v.conns = append(v.conns, conn)
	}
	if len(v.names) > 1 {
		var err error
		if v.ring, err = shard.NewRing(v.names); err != nil {
			v.close()
			return nil, err
		}
	}
	return v, nil
}

func (v *verifier) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for _, c := range v.conns {
		_ = c.Close(ctx) // it only read
	}
}

// owner is the shard a key belongs to.
func (v *verifier) owner(key string) int {
	if v.ring == nil {
		return 0
	}
	return v.index[v.ring.Owner(key)]
}

// suspect is a user or a claim that did not look right when its page was read.
// Much of that is a change under way between two shards, so it is looked at again.
type suspect struct {
	shard int
	id    uuid.UUID // the user's, or the claimant's
	key   string    // the claim's; empty for a user
}

// verify scans all shards side by side, then looks at the suspects again.
func (v *verifier) verify(ctx context.Context) (*report, error) {
	r := newReport(v.names)
	suspects := make([][]suspect, len(v.conns))
	g, scanning := errgroup.WithContext(ctx)
	for i := range v.conns {
		g.Go(func() error {
			users, err := v.scanUsers(scanning, i, &r.shards[i])
			if err != nil {
				return fmt.Errorf("%s: read users: %w", v.names[i], err)
			}
			claims, err := v.scanClaims(scanning, i, &r.shards[i])
			if err != nil {
				return fmt.Errorf("%s: read claims: %w", v.names[i], err)
			}
			suspects[i] = append(users, claims...)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for i, list := range suspects {
		for _, s := range list {
			look := v.lookAtUser
			if s.key != "" {
				look = v.lookAtClaim
			}
			if err := look(ctx, s, r); err != nil {
				return nil, fmt.Errorf("%s: %w", v.names[i], err)
			}
		}
	}
	return r, nil
}

// scanUsers reads every user with the claim to its address, if that is here.
func (v *verifier) scanUsers(ctx context.Context, i int, counts *counts) ([]suspect, error) {
	const page = `SELECT u.id, u.email_key, c.user_id FROM users u LEFT JOIN email_claims c USING (email_key) WHERE u.id > $1 ORDER BY u.id LIMIT $2`
	var suspects []suspect
	last := uuid.Nil
	for {
		rows, err := v.conns[i].Query(ctx, page, last, pageSize)
		if err != nil {
			return nil, err
		}
		read := 0
		var key string
		var claimant *uuid.UUID
		_, err = pgx.ForEachRow(rows, []any{&last, &key, &claimant}, func() error {
			read++
			if v.owner(last.String()) != i || claimant == nil || *claimant != last || v.owner(key) != i {
				suspects = append(suspects, suspect{shard: i, id: last})
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		counts.users += read
		v.progress.add(i, read)
		if read < pageSize {
			return suspects, nil
		}
	}
}

// scanClaims reads every claim with its user, if that is here.
func (v *verifier) scanClaims(ctx context.Context, i int, counts *counts) ([]suspect, error) {
	const page = `SELECT c.email_key, c.user_id, u.email_key FROM email_claims c LEFT JOIN users u ON u.id = c.user_id WHERE c.email_key > $1 ORDER BY c.email_key LIMIT $2`
	var suspects []suspect
	last := ""
	for {
		rows, err := v.conns[i].Query(ctx, page, last, pageSize)
		if err != nil {
			return nil, err
		}
		read := 0
		var claimant uuid.UUID
		var carried *string
		_, err = pgx.ForEachRow(rows, []any{&last, &claimant, &carried}, func() error {
			read++
			if v.owner(last) != i || carried == nil || *carried != last {
				suspects = append(suspects, suspect{shard: i, id: claimant, key: last})
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		counts.claims += read
		v.progress.add(i, read)
		if read < pageSize {
			return suspects, nil
		}
	}
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
	if home := v.owner(s.id.String()); home != s.shard {
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
	home := v.owner(key)
	claimant, claimed, err := v.claim(ctx, home, key)
	switch {
	case err == nil && claimant == s.id:
		return nil
	case err != nil && !errors.Is(err, pgx.ErrNoRows):
		return err
	case changed < inFlight || err == nil && claimed < inFlight:
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
	claimant, claimed, err := v.claim(ctx, s.shard, s.key)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // released meanwhile
	}
	if err != nil {
		return err
	}
	if home := v.owner(s.key); home != s.shard {
		r.add(s.shard, misplaced, fmt.Sprintf("a claim of user %s belongs on %s", claimant, v.names[home]))
		return nil
	}
	key, _, err := v.user(ctx, v.owner(claimant.String()), claimant)
	switch {
	case err == nil && key == s.key:
		return nil
	case err != nil && !errors.Is(err, pgx.ErrNoRows):
		return err
	case claimed < inFlight:
		r.add(s.shard, changing, "")
	default:
		r.add(s.shard, orphaned, fmt.Sprintf("a claim of user %s, who does not carry the address", claimant))
	}
	return nil
}

// user reads one user's address and for how long it has been as it is.
func (v *verifier) user(ctx context.Context, i int, id uuid.UUID) (key string, unchanged time.Duration, err error) {
	err = v.conns[i].QueryRow(ctx, `SELECT email_key, clock_timestamp() - updated_at FROM users WHERE id = $1`, id).Scan(&key, &unchanged)
	return key, unchanged, err
}

// claim reads who claims an address, and for how long.
func (v *verifier) claim(ctx context.Context, i int, key string) (claimant uuid.UUID, held time.Duration, err error) {
	err = v.conns[i].QueryRow(ctx, `SELECT user_id, clock_timestamp() - greatest(claimed_at, unsettled_at) FROM email_claims WHERE email_key = $1`, key).Scan(&claimant, &held)
	return claimant, held, err
}
