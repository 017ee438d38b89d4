package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
)

// A file that stands alone cannot be recorded in its own transaction, so it must bear to be run again. CREATE INDEX CONCURRENTLY
// does not: interrupted, it leaves an invalid index, which IF NOT EXISTS then takes for the index; and PostgreSQL has none
// for a partitioned table. So the tool reads the two statements for indexes and does what they mean.
var (
	comment         = regexp.MustCompile(`(?m)--.*$`)
	concurrentIndex = regexp.MustCompile(`(?i)\bINDEX\s+CONCURRENTLY\b`)
	createIndex     = regexp.MustCompile(`(?is)^\s*CREATE\s+(UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+(?:IF\s+NOT\s+EXISTS\s+)?([a-z_][a-z0-9_]*)\s+ON\s+([a-z_][a-z0-9_]*)\s*([^;]*);?\s*$`)
	dropIndex       = regexp.MustCompile(`(?is)^\s*DROP\s+INDEX\s+CONCURRENTLY\s+(?:IF\s+EXISTS\s+)?([a-z_][a-z0-9_]*)\s*;?\s*$`)
)

// runAlone applies a file that is not in a transaction.
func (d *driver) runAlone(ctx context.Context, sql string) error {
	if err := d.begun(ctx); err != nil {
		return err
	}
	statement := comment.ReplaceAllString(sql, "")
	if part := createIndex.FindStringSubmatch(statement); part != nil {
		return d.createIndex(ctx, index{unique: part[1], name: part[2], table: part[3], rest: part[4]})
	}
	if part := dropIndex.FindStringSubmatch(statement); part != nil {
		return d.dropIndex(ctx, part[1])
	}
	if concurrentIndex.MatchString(statement) && !strings.Contains(strings.ToUpper(statement), "REINDEX") {
		return errors.New("want exactly one statement such as CREATE INDEX CONCURRENTLY name ON table (…) or DROP INDEX CONCURRENTLY name, with plain names: " +
			"the tool finds by them what an interrupted run left")
	}
	return d.patiently(ctx, sql)
}

// begun notes, before the first of its effects, that a file which stands alone is under way.
func (d *driver) begun(ctx context.Context) error {
	_, err := d.conn.Exec(ctx, "INSERT INTO "+d.logTable()+" (version) VALUES ($1) ON CONFLICT (version) DO UPDATE SET schema = NULL",
		pgx.QueryExecModeExec, max(d.at, d.target))
	return err
}

// patiently runs a statement that holds nobody up while it waits: CONCURRENTLY waits for every transaction that began before it,
// under lock_timeout.
func (p *primary) patiently(ctx context.Context, sql string) error {
	if err := p.exec(ctx, "SET lock_timeout = 0"); err != nil {
		return err
	}
	err := p.exec(ctx, sql)
	if p.conn.IsClosed() {
		return err
	}
	return errors.Join(err, p.exec(context.WithoutCancel(ctx), "SET lock_timeout = "+milliseconds(p.set.LockTimeout)))
}

// index is one that a file asks for.
type index struct{ unique, name, table, rest string }

// on is the statement that makes the index under a name on a table.
func (i index) on(how, name, table string) string {
	return fmt.Sprintf("CREATE %sINDEX %s %s ON %s %s", i.unique, how, name, table, i.rest)
}

// createIndex makes the index without holding up writes, whatever there is of it already.
func (d *driver) createIndex(ctx context.Context, want index) error {
	partitions, err := d.partitions(ctx, want.table)
	switch {
	case err != nil:
		return err
	case len(partitions) == 0:
		return d.createPlainIndex(ctx, want, want.name, want.table)
	}
	exists, _, err := d.index(ctx, want.name)
	if err != nil {
		return err
	}
	if !exists { // for a moment: there is nothing in the parent itself
		if err := d.briefly(ctx, want.on("", want.name, "ONLY "+want.table)); err != nil {
			return err
		}
	}
	for _, partition := range partitions {
		name := partition + "_" + strings.TrimPrefix(want.name, want.table+"_")
		if err := d.createPlainIndex(ctx, want, name, partition); err != nil {
			return fmt.Errorf("%s: %w", partition, err)
		}
		// It may be attached already; then this does nothing.
		if err := d.briefly(ctx, "ALTER INDEX "+want.name+" ATTACH PARTITION "+name); err != nil {
			return fmt.Errorf("%s: %w", partition, err)
		}
		d.say("%s on %s is made", want.name, partition)
	}
	return nil
}

func (d *driver) createPlainIndex(ctx context.Context, want index, name, table string) error {
	exists, valid, err := d.index(ctx, name)
	switch {
	case err != nil || valid:
		return err
	case exists:
		d.say("%s was left unfinished: making it anew", name)
		if err := d.patiently(ctx, "DROP INDEX CONCURRENTLY "+name); err != nil {
			return err
		}
	}
	return d.patiently(ctx, want.on("CONCURRENTLY", name, table))
}

// dropIndex removes the index, if it is there. A partitioned one goes in a moment, under lock_timeout: PostgreSQL has no other way.
func (d *driver) dropIndex(ctx context.Context, name string) error {
	exists, _, err := d.index(ctx, name)
	if err != nil || !exists {
		return err
	}
	var partitioned bool
	if err := d.conn.QueryRow(ctx, "SELECT relkind = 'I' FROM pg_class WHERE oid = to_regclass($1)", pgx.QueryExecModeExec, name).Scan(&partitioned); err != nil {
		return err
	}
	if partitioned {
		return d.briefly(ctx, "DROP INDEX "+name)
	}
	return d.patiently(ctx, "DROP INDEX CONCURRENTLY "+name)
}

// briefly runs a statement whose lock holds others up, until it gets it in time.
func (d *driver) briefly(ctx context.Context, sql string) error {
	return d.insist(ctx, d.say, func() error { return d.exec(ctx, sql) })
}

// index tells whether there is an index of that name, and whether it is finished.
func (p *primary) index(ctx context.Context, name string) (exists, valid bool, err error) {
	err = p.conn.QueryRow(ctx, "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)", pgx.QueryExecModeExec, name).Scan(&valid)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, false, nil
	}
	return err == nil, valid, err
}

// partitions are those of a table, if it has any.
func (p *primary) partitions(ctx context.Context, table string) ([]string, error) {
	rows, err := p.conn.Query(ctx, "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = to_regclass($1) ORDER BY 1", pgx.QueryExecModeExec, table)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
