package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

const (
	// batchSize users are copied at a time: a write of one of them waits for the rest of the batch, some 20 ms.
	batchSize = 1000
	// switchLockTimeout is how long the trigger and the switch may queue for their lock, with all traffic behind them. Together with
	// the switch itself that stays below a second.
	switchLockTimeout = 400 * time.Millisecond
	// betweenSigns is how often a shard says how far it is.
	betweenSigns = 5 * time.Second
)

// rebuild gives one shard's users another layout while they are read and written.
//
// A new table grows beside the old one. A trigger has every write of the old one done to the new one, in the same transaction; a
// copy, in small transactions, brings over what was there before. The copy locks the rows it reads against deletion and passes over
// those that the new table has, so whichever comes first, the newer state stays. From the end of the copy on both tables hold the same in
// every snapshot, which is verified; then they change places. How far it is stands in the database, committed with the work: an
// interrupted rebuild is gone on with, whatever ended it.
type rebuild struct {
	*primary
	partitions int // that are wanted; 0 for a plain table
	say        func(format string, args ...any)
	pause      func(time.Duration) time.Duration // to leave the machine to the traffic, after a batch that took so long

	from   int // partitions
	totals totals
}

// totals is what one shard's rebuild came to.
type totals struct {
	users   int64
	took    time.Duration
	blocked time.Duration // that writes waited for the switch, at most
}

func (r *rebuild) work() string { return pgx.Identifier{r.rebuildSchema()}.Sanitize() }

func (r *rebuild) run(ctx context.Context) error {
	began := time.Now()
	now, err := r.layout(ctx)
	if err != nil {
		return err
	}
	if !now.exists {
		return errors.New("there is no users table: migrate first")
	}
	r.from = now.partitions
	if now.underWay {
		if now, err = r.takeUp(ctx, now); err != nil {
			return err
		}
	}
	if now.partitions == r.partitions {
		r.say("%s, nothing to do", now)
		return nil
	}
	steps := []struct {
		name string
		do   func(context.Context) error
	}{
		{"copy", r.copy}, {"vacuum", r.vacuum}, {"verify", r.verify}, {"switch", r.change}, {"clean up", r.cleanUp},
	}
	if !now.underWay {
		if err := r.prepare(ctx); err != nil {
			return fmt.Errorf("prepare: %w", explain(err, ""))
		}
	}
	for _, step := range steps {
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, explain(err, ""))
		}
	}
	r.totals.took = time.Since(began)
	r.say("%s → %s: %d users in %s, writes waited at most %s", describePartitions(r.from), describePartitions(r.partitions), r.totals.users, round(r.totals.took), round(r.totals.blocked))
	return nil
}

// takeUp finds out what an interrupted rebuild left, and ends what is of no use: one that only had to be cleaned up, or one that
// leads to where the shard shall not go any more.
func (r *rebuild) takeUp(ctx context.Context, now layout) (layout, error) {
	var wanted int
	var switched bool
	err := r.conn.QueryRow(ctx, "SELECT partitions, switched FROM "+r.work()+".state", pgx.QueryExecModeExec).Scan(&wanted, &switched)
	switch {
	case err != nil:
		return now, explain(err, "")
	case switched:
		r.say("cleaning up after a rebuild that was interrupted at its end")
		err = r.cleanUp(ctx)
	case now.partitions == r.partitions:
		r.say("giving up the rebuild to %s that was begun", describePartitions(wanted))
		err = r.abandon(ctx)
	case wanted != r.partitions:
		return now, fmt.Errorf("a rebuild to %s is under way: finish it with that number, or give it up by asking for %s", describePartitions(wanted), describePartitions(now.partitions))
	default:
		r.say("going on with the rebuild that was begun")
		return now, nil
	}
	if err != nil {
		return now, err
	}
	return r.layout(ctx)
}

// prepare makes the new table and the trigger, all or nothing.
func (r *rebuild) prepare(ctx context.Context) error {
	return r.insist(ctx, r.say, func() error {
		return pgx.BeginFunc(ctx, r.conn, func(tx pgx.Tx) error {
			if err := r.checkDependents(ctx, tx); err != nil {
				return err
			}
			columns, err := r.columnsOf(ctx, tx)
			if err != nil {
				return err
			}
			replaced := pgx.Identifier{r.replacedSchema()}.Sanitize()
			statements := []string{
				"CREATE SCHEMA " + r.work(), "CREATE SCHEMA " + replaced,
				"CREATE TABLE " + r.work() + ".state (one boolean PRIMARY KEY DEFAULT true CHECK (one), partitions integer NOT NULL, last uuid, copied boolean NOT NULL DEFAULT false, switched boolean NOT NULL DEFAULT false)",
				fmt.Sprintf("INSERT INTO %s.state (partitions) VALUES (%d)", r.work(), r.partitions),
			}
			more, err := r.shadow(ctx, tx, r.partitions)
			if err != nil {
				return err
			}
			statements = append(statements, more...)
			// Autovacuum would hold the lock that trigger and switch need, for longer than they wait. To wait for it here holds nobody up.
			more, err = r.autovacuum(ctx, "SET (autovacuum_enabled = false)")
			if err != nil {
				return err
			}
			statements = append(statements, more...)
			// Last, since from here on writes wait: the trigger, once everybody who wrote before has ended.
			statements = append(statements, "SET LOCAL lock_timeout = "+milliseconds(switchLockTimeout))
			statements = append(statements, r.follow(columns)...)
			return r.exec(ctx, strings.Join(statements, ";\n"))
		})
	})
}

// autovacuum returns the statements that set or reset it for the table as it is now; a partitioned one has it in its partitions.
func (r *rebuild) autovacuum(ctx context.Context, to string) ([]string, error) {
	names, err := r.primary.partitions(ctx, usersTable)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		names = []string{usersTable}
	}
	var statements []string
	for _, name := range names {
		statements = append(statements, "ALTER TABLE "+name+" "+to)
	}
	return statements, nil
}

// follow returns the statements that have every write of users done to the new table. The function has its owner's rights: the
// server has none to the new table yet.
func (r *rebuild) follow(columns []column) []string {
	var set []string
	for _, c := range columns {
		if !c.generated && c.name != "id" {
			set = append(set, c.name+" = excluded."+c.name)
		}
	}
	return []string{
		fmt.Sprintf(`CREATE FUNCTION %[1]s.follow() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' OR TG_OP = 'UPDATE' AND OLD.id <> NEW.id THEN
        DELETE FROM %[1]s.users WHERE id = OLD.id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO %[1]s.users (%[2]s) VALUES (%[3]s) ON CONFLICT (id) DO UPDATE SET %[4]s;
    END IF;
    RETURN NULL;
END
$$`, r.work(), written(columns, ""), written(columns, "NEW."), strings.Join(set, ", ")),
		fmt.Sprintf("CREATE TRIGGER follow AFTER INSERT OR UPDATE OR DELETE ON users FOR EACH ROW EXECUTE FUNCTION %s.follow()", r.work()),
	}
}

// copy brings over what was there before the trigger.
func (r *rebuild) copy(ctx context.Context) error {
	var copied bool
	var last *uuid.UUID
	var expected int64
	err := r.conn.QueryRow(ctx, `SELECT copied, last, greatest((SELECT sum(reltuples) FROM pg_class
		WHERE oid = to_regclass($1) OR oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass($1))), 0)::bigint FROM `+r.work()+".state",
		pgx.QueryExecModeExec, usersTable).Scan(&copied, &last, &expected)
	if err != nil || copied {
		return err
	}
	from := uuid.Nil
	if last != nil {
		from = *last
	}
	var read int64
	began, said := time.Now(), time.Now()
	for {
		start := time.Now()
		n := 0
		err := r.insist(ctx, r.say, func() (err error) {
			n, from, err = r.copyBatch(ctx, from)
			return err
		})
		if err != nil {
			return err
		}
		if read += int64(n); time.Since(said) > betweenSigns {
			said = time.Now()
			r.say("copied %d of about %d users, %.0f a second", read, expected, float64(read)/time.Since(began).Seconds())
		}
		if n < batchSize {
			return nil
		}
		rest := time.NewTimer(r.pause(time.Since(start)))
		select {
		case <-rest.C:
		case <-ctx.Done():
			rest.Stop()
			return context.Cause(ctx)
		}
	}
}

// copyBatch copies the next users after an id and notes how far that is. It keeps those from being deleted meanwhile, which it would
// undo; a change of one is done to the new table after this, or was done before.
func (r *rebuild) copyBatch(ctx context.Context, after uuid.UUID) (n int, last uuid.UUID, err error) {
	last = after
	err = pgx.BeginFunc(ctx, r.conn, func(tx pgx.Tx) error {
		columns, err := r.columnsOf(ctx, tx)
		if err != nil {
			return err
		}
		names := written(columns, "")
		var end *uuid.UUID
		err = tx.QueryRow(ctx, fmt.Sprintf(`
			WITH batch AS (SELECT %[2]s FROM users WHERE id > $1 ORDER BY id LIMIT %[3]d FOR KEY SHARE),
			     copied AS (INSERT INTO %[1]s.users (%[2]s) SELECT %[2]s FROM batch ON CONFLICT (id) DO NOTHING)
			SELECT count(*), (SELECT id FROM batch ORDER BY id DESC LIMIT 1) FROM batch`, r.work(), names, batchSize),
			pgx.QueryExecModeExec, after).Scan(&n, &end)
		if err != nil {
			return err
		}
		if end != nil {
			last = *end
		}
		_, err = tx.Exec(ctx, "UPDATE "+r.work()+".state SET last = $1, copied = $2", pgx.QueryExecModeExec, last, n < batchSize)
		return err
	})
	if err != nil {
		return 0, after, err
	}
	return n, last, nil
}

// vacuum makes the new table fit for use: statistics, and pages that are known to be visible to all.
func (r *rebuild) vacuum(ctx context.Context) error {
	r.say("copied; vacuuming")
	return r.patiently(ctx, "VACUUM (ANALYZE) "+r.work()+".users")
}

// verify counts the users of both tables and adds up their checksums, in one snapshot.
func (r *rebuild) verify(ctx context.Context) error {
	r.say("verifying")
	return pgx.BeginFunc(ctx, r.conn, func(tx pgx.Tx) error {
		columns, err := r.columnsOf(ctx, tx)
		if err != nil {
			return err
		}
		var names []string
		for _, c := range columns {
			names = append(names, c.name)
		}
		sums := fmt.Sprintf("SELECT count(*) AS n, coalesce(sum(hash_record_extended(ROW(%s), 0)::numeric), 0)::text AS checksum FROM ", strings.Join(names, ", "))
		var before, after int64
		var checksumBefore, checksumAfter string
		err = tx.QueryRow(ctx, fmt.Sprintf("SELECT a.n, a.checksum, b.n, b.checksum FROM (%susers) AS a, (%s%s.users) AS b", sums, sums, r.work()), pgx.QueryExecModeExec).
			Scan(&before, &checksumBefore, &after, &checksumAfter)
		if err != nil {
			return err
		}
		if before != after || checksumBefore != checksumAfter {
			return fmt.Errorf("the new table is not like the old one: %d users with checksum %s, and %d with %s; nothing was switched: give the rebuild up and begin anew",
				before, checksumBefore, after, checksumAfter)
		}
		r.totals.users = before
		r.say("verified: %d users, checksum %s, in both tables", before, checksumBefore)
		return nil
	})
}

// change has the two tables change places, in one short transaction.
func (r *rebuild) change(ctx context.Context) error {
	want, err := r.describe(ctx, r.conn)
	if err != nil {
		return err
	}
	return r.insist(ctx, r.say, func() error {
		var asked time.Time
		err := pgx.BeginFunc(ctx, r.conn, func(tx pgx.Tx) error {
			away, err := r.move(ctx, tx, r.set.Schema, r.replacedSchema())
			if err != nil {
				return err
			}
			here, err := r.move(ctx, tx, r.rebuildSchema(), r.set.Schema)
			if err != nil {
				return err
			}
			if err := r.exec(ctx, "SET LOCAL lock_timeout = "+milliseconds(switchLockTimeout)); err != nil {
				return err
			}
			asked = time.Now()
			if err := r.exec(ctx, "LOCK TABLE users IN ACCESS EXCLUSIVE MODE"); err != nil {
				return err
			}
			statements := append([]string{"DROP TRIGGER follow ON users"}, append(away, here...)...)
			statements = append(statements, "UPDATE "+r.work()+".state SET switched = true")
			if err := r.exec(ctx, strings.Join(statements, ";\n")); err != nil {
				return err
			}
			got, err := r.describe(ctx, tx)
			if err != nil {
				return err
			}
			if lines := got.difference("the new table", withoutTrigger(want), "the old one"); lines != nil {
				return fmt.Errorf("the schema would not be the same, so nothing was switched:\n%s", strings.Join(lines, "\n"))
			}
			return nil
		})
		r.totals.blocked = max(r.totals.blocked, time.Since(asked))
		return err
	})
}

// withoutTrigger is the schema without what the rebuild itself added to it.
func withoutTrigger(s schema) schema {
	var rest schema
	for _, line := range s {
		if !strings.HasPrefix(line, "trigger CREATE TRIGGER follow ") {
			rest = append(rest, line)
		}
	}
	return rest
}

// cleanUp drops the table that was replaced.
func (r *rebuild) cleanUp(ctx context.Context) error {
	return r.briefly(ctx, "DROP SCHEMA "+pgx.Identifier{r.replacedSchema()}.Sanitize()+", "+r.work()+" CASCADE")
}

// abandon takes a rebuild back that has not switched.
func (r *rebuild) abandon(ctx context.Context) error {
	return r.insist(ctx, r.say, func() error {
		return pgx.BeginFunc(ctx, r.conn, func(tx pgx.Tx) error {
			reset, err := r.autovacuum(ctx, "RESET (autovacuum_enabled)")
			if err != nil {
				return err
			}
			statements := append([]string{"SET LOCAL lock_timeout = " + milliseconds(switchLockTimeout), "DROP TRIGGER follow ON users"}, reset...)
			statements = append(statements, "DROP SCHEMA "+pgx.Identifier{r.replacedSchema()}.Sanitize()+", "+r.work()+" CASCADE")
			return r.exec(ctx, strings.Join(statements, ";\n"))
		})
	})
}

func (r *rebuild) briefly(ctx context.Context, sql string) error {
	return r.insist(ctx, r.say, func() error { return r.exec(ctx, sql) })
}
