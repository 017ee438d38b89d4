package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/progress"
)

// loader stores one shard's parts, one after the other.
type loader struct {
	name    string
	conn    *pgx.Conn // to the primary
	replica *pgx.Conn // nil when there is none that answers
	seed    int64

	done         map[int]int // by chunk: how many of its users were looked at before
	added, taken int64
}

// recall reads what is stored already.
func (l *loader) recall(ctx context.Context) error {
	l.done = make(map[int]int)
	rows, err := l.conn.Query(ctx, `SELECT chunk, users FROM seed_chunks WHERE seed = $1`, l.seed)
	if err != nil {
		return fmt.Errorf("%s: %w", l.name, err)
	}
	var chunk, users int
	_, err = pgx.ForEachRow(rows, []any{&chunk, &users}, func() error {
		l.done[chunk] = users
		return nil
	})
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42P01" {
		return fmt.Errorf("%s has no table seed_chunks: bring its schema up to date with  make migrate-up", l.name)
	}
	return err
}

// load stores a part and records it, both or neither.
func (l *loader) load(ctx context.Context, p part, bar *progress.Bar) error {
	if err := l.awaitReplica(ctx, maxBehind); err != nil {
		return err
	}
	err := pgx.BeginFunc(ctx, l.conn, func(tx pgx.Tx) error {
		if err := l.copyAll(ctx, tx, p); err != nil {
			return err
		}
		return l.record(ctx, tx, p)
	})
	added := p.size
	if isUniqueViolation(err) { // somebody has an address, so each is looked at
		err = pgx.BeginFunc(ctx, l.conn, func(tx pgx.Tx) (err error) {
			if added, err = l.copyFree(ctx, tx, p); err != nil {
				return err
			}
			return l.record(ctx, tx, p)
		})
	}
	if err != nil {
		return fmt.Errorf("chunk %d: %w", p.chunk, err)
	}
	l.added += added
	l.taken += p.size - added
	bar.Add(p.size)
	return nil
}

func (l *loader) record(ctx context.Context, tx pgx.Tx, p part) error {
	_, err := tx.Exec(ctx, `INSERT INTO seed_chunks (seed, chunk, users) VALUES ($1, $2, $3)
		ON CONFLICT (seed, chunk) DO UPDATE SET users = excluded.users`, l.seed, p.chunk, p.upTo)
	return err
}

const (
	userColumns  = " (id, name, email, created_at, updated_at)"
	claimColumns = " (email_key, user_id, token, claimed_at)"
)

// copyAll stores users and claims whose addresses are free.
func (l *loader) copyAll(ctx context.Context, tx pgx.Tx, p part) error {
	if err := p.userRows.send(ctx, tx, "users"+userColumns); err != nil {
		return err
	}
	return p.claimRows.send(ctx, tx, "email_claims"+claimColumns)
}

// copyFree stores those users whose addresses nobody has claimed, with their claims, and returns how many those are. The
// rule that whoever carries an address has the claim to it makes the claims the only thing to ask.
func (l *loader) copyFree(ctx context.Context, tx pgx.Tx, p part) (int64, error) {
	if _, err := tx.Exec(ctx, `CREATE TEMPORARY TABLE people (id uuid, name text, email text, created_at timestamptz, updated_at timestamptz) ON COMMIT DROP`); err != nil {
		return 0, err
	}
	if err := p.userRows.send(ctx, tx, "people"+userColumns); err != nil {
		return 0, err
	}
	tag, err := tx.Exec(ctx, `WITH free AS (
			INSERT INTO email_claims (email_key, user_id, token, claimed_at)
			SELECT email, id, gen_random_uuid(), created_at FROM people ORDER BY email
			ON CONFLICT (email_key) DO NOTHING RETURNING user_id)
		INSERT INTO users (id, name, email, created_at, updated_at)
		SELECT id, name, email, created_at, updated_at FROM people JOIN free ON free.user_id = id`)
	return tag.RowsAffected(), err
}

func isUniqueViolation(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "23505"
}

const (
	// maxBehind is how much WAL a replica may have to replay before its primary gets more users: far less than
	// max_slot_wal_keep_size, past which it would have to be cloned anew.
	maxBehind = 128 << 20
	// patience is how long a replica may stand still.
	patience = time.Minute
	poll     = 50 * time.Millisecond
)

// awaitReplica returns when the replica is at most so many bytes behind the primary.
func (l *loader) awaitReplica(ctx context.Context, behind int64) error {
	if l.replica == nil {
		return nil
	}
	var written string
	if err := l.conn.QueryRow(ctx, `SELECT pg_current_wal_insert_lsn()::text`).Scan(&written); err != nil {
		return err
	}
	least, since := int64(-1), time.Now()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		var rest int64
		err := l.replica.QueryRow(ctx, `SELECT pg_wal_lsn_diff($1::text::pg_lsn, pg_last_wal_replay_lsn())::bigint`, written).Scan(&rest)
		switch {
		case err != nil:
			return fmt.Errorf("ask the replica how far it is: %w", err)
		case rest <= behind:
			return nil
		case least < 0 || rest < least:
			least, since = rest, time.Now()
		case time.Since(since) > patience:
			return fmt.Errorf("the replica is %s behind and has stood still for %s: see  make health", progress.Size(rest), patience)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// finish leaves fresh statistics, and pages that readers need not touch up.
func (l *loader) finish(ctx context.Context) error {
	for _, table := range []string{"users", "email_claims"} {
		if _, err := l.conn.Exec(ctx, "VACUUM (ANALYZE) "+table); err != nil {
			return fmt.Errorf("vacuum %s: %w", table, err)
		}
	}
	return l.awaitReplica(ctx, 0)
}
