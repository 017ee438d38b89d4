package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/golang-migrate/migrate/v4/database"
	"github.com/jackc/pgx/v5"
)

// driver is golang-migrate's view of a shard. The driver that comes with golang-migrate marks the shard dirty, runs the
// file, and takes the mark away, in three transactions: after a failure or a kill somebody has to find out which of
// them happened. Here a file and the record that it was applied commit together, so a shard always stands at a whole
// version and the next run goes on by itself. The table and the lock are golang-migrate's own.
type driver struct {
	*primary
	ctx     context.Context // of the run: database.Driver's methods take none
	applied func(version int, took time.Duration)
	say     func(format string, args ...any)

	at       int           // what the shard stands at
	target   int           // what the next file leads to
	recorded bool          // with the file
	took     time.Duration // the file
}

var _ database.Driver = (*driver)(nil)

// Lock takes golang-migrate's lock of this database, against other tools built on it and against a file that a killed
// run left running on the server.
func (d *driver) Lock() error {
	if err := d.lockShard(d.ctx); err != nil {
		return err
	}
	return d.ensureTables()
}

// Unlock implements database.Driver.
func (d *driver) Unlock() error { return d.unlockShard(d.ctx) }

// Version implements database.Driver.
func (d *driver) Version() (version int, dirty bool, err error) { return d.version(d.ctx) }

// SetVersion is called before a file with dirty, and after it without.
func (d *driver) SetVersion(version int, dirty bool) error {
	switch {
	case dirty:
		d.target, d.recorded = version, false
		return nil
	case !d.recorded:
		ctx, cancel := context.WithTimeout(d.ctx, d.set.ConnectTimeout)
		defer cancel()
		if err := pgx.BeginFunc(ctx, d.conn, func(tx pgx.Tx) error { return d.record(ctx, tx) }); err != nil {
			return explain(err, "")
		}
	}
	d.at = version
	d.applied(version, d.took)
	return nil
}

var (
	// standsAlone begins a file that cannot be in a transaction, such as CREATE INDEX CONCURRENTLY. Such a file is
	// recorded after it ran, so it must bear to be run again.
	standsAlone = regexp.MustCompile(`(?i)^-- migration: no transaction\b`)

	ownTransaction = regexp.MustCompile(`(?im)^[ \t]*(BEGIN|START|COMMIT|ROLLBACK)([ \t]+(TRANSACTION|WORK))?[ \t]*;`)
)

// Run implements database.Driver: it applies one file.
func (d *driver) Run(file io.Reader) error {
	text, err := io.ReadAll(file)
	if err != nil {
		return err
	}
	sql := string(text)
	ctx, cancel := context.WithTimeout(d.ctx, d.set.StatementTimeout)
	defer cancel()
	start := time.Now()
	defer d.tellThatItRuns(start)()

	if standsAlone.MatchString(sql) {
		err = d.runAlone(ctx, sql)
	} else {
		err = d.insist(ctx, d.say, func() error { return d.runInTransaction(ctx, sql) })
	}
	switch {
	case err != nil && d.ctx.Err() != nil:
		return fmt.Errorf("interrupted: %w", context.Cause(d.ctx)) // PostgreSQL only says that it was cancelled
	case err != nil:
		return explain(err, sql)
	}
	d.took = time.Since(start)
	return nil
}

// patienceOfPeople is how long a file may run before, and between, signs that it still does.
const patienceOfPeople = 10 * time.Second

// tellThatItRuns says so from time to time, until the function it returns is called.
func (d *driver) tellThatItRuns(start time.Time) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		again := time.NewTicker(patienceOfPeople)
		defer again.Stop()
		for {
			select {
			case <-again.C:
				d.say("still at work, for %s by now", time.Since(start).Round(time.Second))
			case <-done:
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}

func (d *driver) runInTransaction(ctx context.Context, sql string) error {
	// A procedure's body, in dollar quotes, may hold these words; there the check after the file must do.
	if found := ownTransaction.FindString(sql); found != "" && !strings.Contains(sql, "$") {
		return fmt.Errorf("the file has %q in it, but it is one transaction already, which must also hold the record of it: take that out", strings.TrimSpace(found))
	}
	err := pgx.BeginFunc(ctx, d.conn, func(tx pgx.Tx) error {
		if err := d.exec(ctx, sql); err != nil {
			return err
		}
		if d.conn.PgConn().TxStatus() != 'T' {
			return errors.New("the file ended its own transaction, so what it did is kept but not recorded: take COMMIT and ROLLBACK out of it, and undo by hand what it did")
		}
		return d.record(ctx, tx)
	})
	d.recorded = err == nil
	return err
}

// exec sends the text as it is; it may hold several statements.
func (p *primary) exec(ctx context.Context, sql string) error {
	return p.conn.PgConn().Exec(ctx, sql).Close()
}

// record writes the version that d.target says, and what the schema is at it, in tx.
func (d *driver) record(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, "DELETE FROM "+d.table()); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "DELETE FROM "+d.logTable()+" WHERE version >= $1", pgx.QueryExecModeExec, d.target); err != nil || d.target == noVersion {
		return err
	}
	if _, err := tx.Exec(ctx, "INSERT INTO "+d.table()+" (version, dirty) VALUES ($1, false)", pgx.QueryExecModeExec, d.target); err != nil {
		return err
	}
	now, err := d.describe(ctx, tx)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "INSERT INTO "+d.logTable()+" (version, schema) VALUES ($1, $2)", pgx.QueryExecModeExec, d.target, []string(now))
	return err
}

// ensureTables makes the table of versions and the log.
func (d *driver) ensureTables() error {
	ctx, cancel := context.WithTimeout(d.ctx, d.set.ConnectTimeout)
	defer cancel()
	if err := d.ensureTable(ctx, d.table(), "version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL"); err != nil {
		return err
	}
	return d.ensureTable(ctx, d.logTable(), "version bigint NOT NULL PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT clock_timestamp(), schema text[]")
}

// ensureTable makes a table if it is not there. The role that serves requests may read it, to know what it runs on, and no
// more, although the owner's new tables grant it everything.
func (d *driver) ensureTable(ctx context.Context, name, columns string) error {
	var exists bool
	err := d.conn.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", name).Scan(&exists)
	if err != nil || exists {
		return explain(err, "")
	}
	sql := "CREATE TABLE " + name + " (" + columns + ");"
	if d.api != d.conn.Config().User {
		api := pgx.Identifier{d.api}.Sanitize()
		sql += " REVOKE ALL ON " + name + " FROM " + api + "; GRANT SELECT ON " + name + " TO " + api
	}
	return explain(d.exec(ctx, sql), sql)
}

// Open implements database.Driver, for drivers made from a URL. This one is made from a connection.
func (d *driver) Open(string) (database.Driver, error) { return nil, errors.ErrUnsupported }

// Drop implements database.Driver. No command of ours drops everything.
func (d *driver) Drop() error { return errors.ErrUnsupported }

// Close implements database.Driver. Whoever connected closes.
func (d *driver) Close() error { return nil }
