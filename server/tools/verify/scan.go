package main

import (
	"context"
	"fmt"
	"hash/maphash"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/progress"
)

// A healthy system has as many pairs of id and address among its users as among its claims, and the same ones. So the scan
// adds up a hash of each pair, plus for users and minus for claims, and what comes to zero over all shards is equal; no join
// is needed, and no memory that grows with the users. The pairs are spread over buckets, so that those that are not equal are
// found by a second scan that keeps only what falls in the buckets that did not come to zero.
const buckets = 1 << 16

type tally [buckets]uint64

var seed = maphash.MakeSeed() // another for each run, so no pairs can have been made to cancel each other

// pair is a row of either table.
type pair struct {
	id  uuid.UUID
	key []byte // valid until the next row
}

func (p pair) hash() uint64 {
	var buf [16 + 254]byte // an address is no longer (users_email_length)
	return maphash.Bytes(seed, append(append(buf[:0], p.id[:]...), p.key...))
}

func bucket(hash uint64) uint64 { return hash % buckets }

// scan reads every user and every claim once. It returns those that are on a shard that does not own them, and the buckets
// whose users and claims are not the same.
//
// A shard is read in one snapshot, in which a user and the claim beside it are there together or not at all. The snapshots
// of all shards are taken first, nearly at once; a change of address between two of them meanwhile opens a bucket, no more.
// While it reads, vacuum keeps what has died since: that is for seconds per million users.
func (v *verifier) scan(ctx context.Context, r *report, bar *progress.Bar) (suspects []suspect, open map[uint64]bool, err error) {
	tallies, found := make([]tally, len(v.names)), make([][]suspect, len(v.names))
	err = v.snapshots(ctx, func(ctx context.Context, i int, tx pgx.Tx) error {
		counts, sums := &r.shards[i], &tallies[i]
		err := users(ctx, tx, bar, func(p pair) {
			counts.users++
			sums[bucket(p.hash())] += p.hash()
			if v.set.Owner(p.id.String()) != i {
				found[i] = append(found[i], suspect{shard: i, id: p.id})
			}
		})
		if err != nil {
			return err
		}
		return claims(ctx, tx, bar, func(p pair) {
			counts.claims++
			sums[bucket(p.hash())] -= p.hash()
			if key := string(p.key); v.set.Owner(key) != i {
				found[i] = append(found[i], suspect{shard: i, id: p.id, key: key})
			}
		})
	})
	if err != nil {
		return nil, nil, err
	}
	open = make(map[uint64]bool)
	for b := range uint64(buckets) {
		var sum uint64
		for i := range tallies {
			sum += tallies[i][b]
		}
		if sum != 0 {
			open[b] = true
		}
	}
	var read int64
	for i := range v.names {
		suspects = append(suspects, found[i]...)
		read += int64(r.shards[i].users + r.shards[i].claims)
	}
	bar.Finish(read)
	return suspects, open, nil
}

// scanOpen reads everything again and returns the users and claims of the open buckets that have no counterpart.
func (v *verifier) scanOpen(ctx context.Context, open map[uint64]bool, display *progress.Display) ([]suspect, error) {
	type whole struct {
		id  uuid.UUID
		key string
	}
	carried, claimed := make([]map[whole]bool, len(v.names)), make([]map[whole]bool, len(v.names))
	bar := display.Bar("read again", "users and claims", v.estimate(ctx), 0)
	keep := func(set map[whole]bool) func(pair) {
		return func(p pair) {
			if open[bucket(p.hash())] {
				set[whole{p.id, string(p.key)}] = true
			}
		}
	}
	err := v.snapshots(ctx, func(ctx context.Context, i int, tx pgx.Tx) error {
		carried[i], claimed[i] = make(map[whole]bool), make(map[whole]bool)
		if err := users(ctx, tx, bar, keep(carried[i])); err != nil {
			return err
		}
		return claims(ctx, tx, bar, keep(claimed[i]))
	})
	if err != nil {
		return nil, err
	}
	bar.Finish(bar.Done())

	in := func(sets []map[whole]bool, w whole) bool {
		for _, set := range sets {
			if set[w] {
				return true
			}
		}
		return false
	}
	var suspects []suspect
	for i := range v.names {
		for w := range carried[i] {
			if !in(claimed, w) {
				suspects = append(suspects, suspect{shard: i, id: w.id})
			}
		}
		for w := range claimed[i] {
			if !in(carried, w) {
				suspects = append(suspects, suspect{shard: i, id: w.id, key: w.key})
			}
		}
	}
	return suspects, nil
}

// snapshots takes one of each shard, and then reads all side by side.
func (v *verifier) snapshots(ctx context.Context, read func(ctx context.Context, i int, tx pgx.Tx) error) error {
	g, taking := errgroup.WithContext(ctx)
	txs := make([]pgx.Tx, len(v.names))
	for i, conn := range v.set.Conns {
		g.Go(func() (err error) {
			if txs[i], err = conn.BeginTx(taking, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}); err != nil {
				return fmt.Errorf("%s: %w", v.names[i], err)
			}
			_, err = txs[i].Exec(taking, "SELECT pg_current_snapshot()")
			return err
		})
	}
	err := g.Wait()
	defer func() {
		for _, tx := range txs {
			if tx != nil {
				_ = tx.Rollback(context.WithoutCancel(ctx)) // it only read
			}
		}
	}()
	if err != nil {
		return err
	}
	g, ctx = errgroup.WithContext(ctx)
	for i := range v.names {
		g.Go(func() error {
			if err := read(ctx, i, txs[i]); err != nil {
				return fmt.Errorf("%s: %w", v.names[i], err)
			}
			return nil
		})
	}
	return g.Wait()
}

func users(ctx context.Context, tx pgx.Tx, bar *progress.Bar, each func(pair)) error {
	return pairs(ctx, tx, "SELECT id, email_key FROM users", bar, each)
}

func claims(ctx context.Context, tx pgx.Tx, bar *progress.Bar, each func(pair)) error {
	return pairs(ctx, tx, "SELECT user_id, email_key FROM email_claims", bar, each)
}

// pairs reads the rows as they come from the server, without making values of them.
func pairs(ctx context.Context, tx pgx.Tx, query string, bar *progress.Bar, each func(pair)) error {
	rows, err := tx.Query(ctx, query, pgx.QueryResultFormats{pgx.BinaryFormatCode, pgx.TextFormatCode})
	if err != nil {
		return err
	}
	defer rows.Close()
	const step = 10_000
	n := 0
	for rows.Next() {
		values := rows.RawValues()
		each(pair{id: uuid.UUID(values[0]), key: values[1]})
		if n++; n == step {
			bar.Add(step)
			n = 0
		}
	}
	bar.Add(int64(n))
	return rows.Err()
}

// estimate is how many rows the shards' statistics speak of, for the progress only.
func (v *verifier) estimate(ctx context.Context) (total int64) {
	for _, conn := range v.set.Conns {
		var rows int64
		err := conn.QueryRow(ctx, `SELECT coalesce(sum(greatest(reltuples, 0)), 0)::bigint FROM pg_class WHERE relkind = 'r' AND (
			oid IN ('users'::regclass, 'email_claims'::regclass) OR oid IN (SELECT relid FROM pg_partition_tree('users')))`).Scan(&rows)
		if err == nil {
			total += rows
		}
	}
	return total
}
