package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// usersTable is the table that may be partitioned, by hash of its primary key.
const usersTable = "users"

// rebuildSuffix and replacedSuffix follow the schema's name in the names of the two schemas that exist while users is being
// rebuilt: the one where the new table grows, and the one where the old one goes.
const (
	rebuildSuffix  = "_rebuild"
	replacedSuffix = "_replaced"
)

func (p *primary) rebuildSchema() string  { return p.set.Schema + rebuildSuffix }
func (p *primary) replacedSchema() string { return p.set.Schema + replacedSuffix }

// layout is how a shard stores its users.
type layout struct {
	exists     bool
	partitions int  // 0: a plain table
	underWay   bool // a rebuild was begun and not ended
}

func (l layout) String() string {
	text := "no users"
	if l.exists {
		text = describePartitions(l.partitions)
	}
	if l.underWay {
		text += ", being rebuilt"
	}
	return text
}

func describePartitions(n int) string {
	if n == 0 {
		return "plain"
	}
	return fmt.Sprintf("%d partitions", n)
}

// layout reads how the shard stores its users.
func (p *primary) layout(ctx context.Context) (l layout, err error) {
	ctx, cancel := context.WithTimeout(ctx, p.set.ConnectTimeout)
	defer cancel()
	err = p.conn.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL, (SELECT count(*) FROM pg_inherits WHERE inhparent = to_regclass($1)), to_regnamespace($2) IS NOT NULL`,
		pgx.QueryExecModeExec, usersTable, pgx.Identifier{p.rebuildSchema()}.Sanitize()).Scan(&l.exists, &l.partitions, &l.underWay)
	return l, explain(err, "")
}

// column is one of users'. A generated one is not written.
type column struct {
	name      string
	generated bool
}

// columnsOf reads the columns of users, in their order.
func (p *primary) columnsOf(ctx context.Context, tx pgx.Tx) ([]column, error) {
	rows, err := tx.Query(ctx, `SELECT quote_ident(attname), attgenerated <> '' FROM pg_attribute
		WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum`, pgx.QueryExecModeExec, usersTable)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (c column, err error) {
		return c, row.Scan(&c.name, &c.generated)
	})
}

// written are the names of those that are written, each with a prefix.
func written(columns []column, prefix string) string {
	var names []string
	for _, c := range columns {
		if !c.generated {
			names = append(names, prefix+c.name)
		}
	}
	return strings.Join(names, ", ")
}

// checkDependents refuses a users table on which something else depends: that would stay with the old table.
func (p *primary) checkDependents(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `
		WITH t AS (SELECT to_regclass($1)::oid AS oid)
		SELECT 'the foreign key ' || conname || ' of ' || conrelid::regclass FROM pg_constraint, t WHERE contype = 'f' AND confrelid = t.oid AND conparentid = 0
		UNION ALL
		SELECT 'the foreign key ' || conname || ' of users itself' FROM pg_constraint, t WHERE contype = 'f' AND conrelid = t.oid
		UNION ALL
		SELECT 'the view ' || r.ev_class::regclass FROM t, pg_depend d JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid WHERE d.refobjid = t.oid
		UNION ALL
		SELECT 'the trigger ' || tgname FROM pg_trigger, t WHERE tgrelid = t.oid AND NOT tgisinternal
		UNION ALL
		SELECT 'the unique index ' || indexrelid::regclass || ', which does not have id in it and so cannot be on a partitioned table'
		  FROM pg_index, t WHERE indrelid = t.oid AND indisunique
		   AND NOT (SELECT attnum FROM pg_attribute WHERE attrelid = t.oid AND attname = 'id') = ANY (indkey::int2[])`, pgx.QueryExecModeExec, usersTable)
	if err != nil {
		return err
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err == nil && len(found) > 0 {
		err = errors.New("users cannot be rebuilt, because it has " + strings.Join(found, ", and "))
	}
	return err
}

// shadow returns the statements that make an empty users table of a layout in the rebuild schema: alike, but for the partitions.
func (p *primary) shadow(ctx context.Context, tx pgx.Tx, partitions int) ([]string, error) {
	home, work := pgx.Identifier{p.set.Schema}.Sanitize(), pgx.Identifier{p.rebuildSchema()}.Sanitize()
	create := fmt.Sprintf("CREATE TABLE %s.users (LIKE %s.users INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING CONSTRAINTS INCLUDING COMMENTS INCLUDING STORAGE)", work, home)
	if partitions > 0 {
		create += " PARTITION BY HASH (id)"
	}
	statements := []string{create}
	for i := range partitions {
		statements = append(statements, fmt.Sprintf("CREATE TABLE %s.users_p%d PARTITION OF %s.users FOR VALUES WITH (MODULUS %d, REMAINDER %d)", work, i, work, partitions, i))
	}
	// The indexes have the names they have at home: names are per schema, and move with their table.
	rows, err := tx.Query(ctx, `
		SELECT 'ALTER TABLE ' || $2 || '.users ADD CONSTRAINT ' || quote_ident(conname) || ' ' || pg_get_constraintdef(oid)
		  FROM pg_constraint WHERE conrelid = to_regclass($1) AND contype IN ('p', 'u')
		UNION ALL
		SELECT regexp_replace(pg_get_indexdef(indexrelid), ' ON (ONLY )?\S+ USING ', ' ON ' || $2 || '.users USING ')
		  FROM pg_index WHERE indrelid = to_regclass($1) AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u'))
		UNION ALL
		SELECT 'GRANT ' || string_agg(acl.privilege_type, ', ') || ' ON ' || $2 || '.users TO ' || CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END
		  FROM pg_class c, LATERAL aclexplode(c.relacl) AS acl WHERE c.oid = to_regclass($1) AND acl.grantee <> c.relowner GROUP BY acl.grantee`,
		pgx.QueryExecModeExec, usersTable, work)
	if err != nil {
		return nil, err
	}
	more, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return append(statements, more...), err
}

// move returns the statements that put users and its partitions from one schema into another.
func (p *primary) move(ctx context.Context, tx pgx.Tx, from, to string) ([]string, error) {
	rows, err := tx.Query(ctx, `
		SELECT format('ALTER TABLE %s SET SCHEMA %I', t.oid::regclass, $2::text)
		  FROM (SELECT to_regclass(quote_ident($1) || '.users')::oid AS oid UNION ALL
		        SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass(quote_ident($1) || '.users')) AS t`,
		pgx.QueryExecModeExec, from, to)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
