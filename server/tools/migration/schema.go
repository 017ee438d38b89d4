package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// schema is what a shard's schema consists of, a line for each thing in it, sorted. Two shards with equal lines work alike:
// the order of columns, the storage and whether users is partitioned are left out.
type schema []string

// identityTable is where a shard says who it is. The tool writes it once and takes the server's rights to it away.
const identityTable = "shard_identity"

// schemaQuery describes the schema $1 without the tables $2. Partitions and their indexes and constraints belong to their
// parent and are no lines of their own. The index users_email_key is left out: a partitioned users cannot have it, a plain one has it
// if it was migrated down to before 000007, and claims do what it did.
const schemaQuery = `
WITH space AS (
    SELECT oid FROM pg_namespace WHERE nspname = $1
), foreigner AS (
    SELECT classid, objid FROM pg_depend WHERE deptype = 'e' -- an extension's
), relation AS (
    SELECT c.oid, c.relname, c.relkind, c.relacl, c.relowner, c.relpersistence
      FROM pg_class c JOIN space ON space.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND NOT c.relispartition AND c.relname <> ALL ($2::name[])
       AND NOT EXISTS (SELECT FROM foreigner f WHERE f.classid = 'pg_class'::regclass AND f.objid = c.oid)
)
SELECT CASE relkind WHEN 'v' THEN 'view ' WHEN 'm' THEN 'materialized view ' WHEN 'S' THEN 'sequence ' ELSE 'table ' END || relname
       || CASE relpersistence WHEN 'u' THEN ', unlogged' ELSE '' END
       || CASE WHEN relkind IN ('v', 'm') THEN ': ' || pg_get_viewdef(oid) ELSE '' END
  FROM relation
UNION ALL
SELECT 'column ' || r.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
       || CASE WHEN a.attcollation <> t.typcollation THEN ' collate ' || a.attcollation::regcollation::text ELSE '' END
       || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
       || CASE a.attidentity WHEN '' THEN '' ELSE ' identity ' || a.attidentity::text END
       || coalesce(CASE a.attgenerated WHEN '' THEN ' default ' ELSE ' generated ' END || pg_get_expr(d.adbin, d.adrelid), '')
  FROM relation r
  JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE r.relkind <> 'S'
UNION ALL
SELECT 'constraint ' || r.relname || '.' || c.conname || ' ' || pg_get_constraintdef(c.oid)
  FROM relation r JOIN pg_constraint c ON c.conrelid = r.oid AND c.conparentid = 0
UNION ALL
SELECT 'index ' || replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ')
       || CASE WHEN i.indisvalid THEN '' ELSE ', invalid' END
  FROM relation r JOIN pg_index i ON i.indrelid = r.oid JOIN pg_class c ON c.oid = i.indexrelid
 WHERE c.relname <> 'users_email_key'
UNION ALL
SELECT 'trigger ' || pg_get_triggerdef(t.oid) || CASE t.tgenabled WHEN 'O' THEN '' ELSE ', enabled: ' || t.tgenabled::text END
  FROM relation r JOIN pg_trigger t ON t.tgrelid = r.oid AND NOT t.tgisinternal
UNION ALL
SELECT 'right to ' || r.relname || ': ' || string_agg(acl.privilege_type, ', ' ORDER BY acl.privilege_type) || ' for ' ||
       CASE acl.grantee WHEN 0 THEN 'public' ELSE acl.grantee::regrole::text END
  FROM relation r, LATERAL aclexplode(r.relacl) AS acl
 WHERE r.relname <> '` + identityTable + `' AND acl.grantee <> r.relowner
 GROUP BY r.relname, acl.grantee
UNION ALL
SELECT 'function ' || p.oid::regprocedure::text || ', its definition ' || md5(CASE WHEN p.prokind IN ('f', 'p') THEN pg_get_functiondef(p.oid) ELSE p.prosrc END)
  FROM pg_proc p JOIN space ON space.oid = p.pronamespace
 WHERE NOT EXISTS (SELECT FROM foreigner f WHERE f.classid = 'pg_proc'::regclass AND f.objid = p.oid)
UNION ALL
SELECT 'type ' || t.typname || ': ' ||
       coalesce((SELECT string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid), format_type(t.typbasetype, t.typtypmod)) ||
       coalesce((SELECT ', ' || string_agg(pg_get_constraintdef(c.oid), ', ' ORDER BY c.conname) FROM pg_constraint c WHERE c.contypid = t.oid), '')
  FROM pg_type t JOIN space ON space.oid = t.typnamespace
 WHERE t.typtype IN ('e', 'd')
   AND NOT EXISTS (SELECT FROM foreigner f WHERE f.classid = 'pg_type'::regclass AND f.objid = t.oid)`

// queryer is a connection or a transaction on it.
type queryer interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// describe reads the schema as q sees it.
func (p *primary) describe(ctx context.Context, q queryer) (schema, error) {
	rows, err := q.Query(ctx, schemaQuery, pgx.QueryExecModeExec, p.set.Schema, []string{p.set.Table, p.set.Table + logSuffix})
	if err != nil {
		return nil, fmt.Errorf("describe the schema: %w", explain(err, ""))
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("describe the schema: %w", explain(err, ""))
	}
	slices.Sort(lines)
	return lines, nil
}

// hash tells schemas apart.
func (s schema) hash() string {
	sum := sha256.Sum256([]byte(strings.Join(s, "\n")))
	return hex.EncodeToString(sum[:])[:12]
}

// difference is what only one of two schemas has, in words, or nothing.
func (s schema) difference(name string, other schema, otherName string) []string {
	var found []string
	only := func(a schema, has string, b schema) {
		for _, line := range a {
			if !slices.Contains(b, line) {
				found = append(found, fmt.Sprintf("  only %s has  %s", has, strings.Join(strings.Fields(line), " ")))
			}
		}
	}
	only(s, name, other)
	only(other, otherName, s)
	return found
}
