package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// logSuffix follows the name of the table of versions in the name of the log: what each version's schema was when its file was
// applied there. A version without a schema is one that a file which stands alone is on the way to, or from.
const logSuffix = "_log"

// logTable is the log, quoted.
func (p *primary) logTable() string {
	return pgx.Identifier{p.set.Schema, p.set.Table + logSuffix}.Sanitize()
}

// compareBefore refuses shards whose schemas differ in a way that this tool did not cause. Shards at one version must be alike;
// where they stand at several, each must be as its own last migration left it.
func (t *tool) compareBefore(states []state) error {
	if atOneVersion(states) {
		return t.compare(states)
	}
	var problems []error
	for _, s := range states {
		if s.underWay || s.recorded == nil {
			continue
		}
		then := fmt.Sprintf("%s after %s", s.shard.Name, t.label(s.version))
		if lines := s.schema.difference(s.shard.Name+" now", s.recorded, then); lines != nil {
			problems = append(problems, fmt.Errorf("%s: its schema is not what %s made of it, and this tool did not change it since:\n%s\nundo that there by hand, or make it a migration",
				s.shard.Name, t.label(s.version), strings.Join(lines, "\n")))
		}
	}
	return errors.Join(problems...)
}

// compare reports in what the shards' schemas differ from the first one's. A shard on which a file that stands alone was
// interrupted is passed by: what there is of it, this tool caused.
func (t *tool) compare(states []state) error {
	var first *state
	var problems []error
	for i, s := range states {
		switch {
		case s.underWay:
		case first == nil:
			first = &states[i]
		default:
			if lines := first.schema.difference(first.shard.Name, s.schema, s.shard.Name); lines != nil {
				problems = append(problems, fmt.Errorf("%s and %s are both at %s, but their schemas differ (%s and %s), which this tool did not cause:\n%s\nmake them alike by hand",
					first.shard.Name, s.shard.Name, t.label(s.version), first.schema.hash(), s.schema.hash(), strings.Join(lines, "\n")))
			}
		}
	}
	return errors.Join(problems...)
}

// compareAfter compares what a run that went well has made of the shards, if they are at one version now, and keeps it: shards
// that are alike are as they should be, whoever made them so.
func (t *tool) compareAfter(ctx context.Context, primaries []*primary) error {
	states, err := t.inspect(ctx, primaries)
	if err != nil || !atOneVersion(states) {
		return err
	}
	if err := t.compare(states); err != nil {
		return fmt.Errorf("the files were applied, but %w", err)
	}
	t.con.out.printf("schema: %s on %d of %d shards", states[0].schema.hash(), len(states), len(t.cfg.Shards))
	return t.onEvery(ctx, func(ctx context.Context, i int) error {
		if s := states[i]; s.version == noVersion || s.recorded.hash() == s.schema.hash() {
			return nil
		}
		return primaries[i].keep(ctx, states[i])
	})
}

// keep writes the schema into the log as the one of its version.
func (p *primary) keep(ctx context.Context, s state) error {
	ctx, cancel := context.WithTimeout(ctx, p.set.ConnectTimeout)
	defer cancel()
	_, err := p.conn.Exec(ctx, "INSERT INTO "+p.logTable()+" (version, schema) VALUES ($1, $2) ON CONFLICT (version) DO UPDATE SET schema = excluded.schema",
		pgx.QueryExecModeExec, s.version, []string(s.schema))
	return explain(err, "")
}

// atOneVersion tells whether all shards stand at the same version.
func atOneVersion(states []state) bool {
	for _, s := range states {
		if s.version != states[0].version {
			return false
		}
	}
	return true
}

// readLog reads what the schema was when the shard came to the version, if that is known, and whether a file that stands alone
// was begun and not ended since.
func (p *primary) readLog(ctx context.Context, version int) (recorded schema, underWay bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, p.set.ConnectTimeout)
	defer cancel()
	var found *[]string
	err = p.conn.QueryRow(ctx, `SELECT (SELECT schema FROM `+p.logTable()+` WHERE version = $1), EXISTS (SELECT FROM `+p.logTable()+` WHERE schema IS NULL)`,
		pgx.QueryExecModeExec, version).Scan(&found, &underWay)
	switch {
	case isCode(err, undefinedTable): // from before there was a log, or nothing was applied
		return nil, false, nil
	case err != nil:
		return nil, false, explain(err, "")
	case found != nil:
		recorded = *found
	}
	return recorded, underWay, nil
}
