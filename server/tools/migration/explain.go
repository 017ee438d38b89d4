package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/golang-migrate/migrate/v4"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/messenger-clone/messenger-clone-api/server/config"
)

// PostgreSQL's names for what an operator can do something about.
const (
	undefinedTable         = "42P01"
	lockNotAvailable       = "55P03"
	queryCanceled          = "57014"
	activeTransaction      = "25001"
	invalidPassword        = "28P01"
	protocolViolation      = "08P01"
	undefinedDatabase      = "3D000"
	insufficientPrivileges = "42501"
)

func isCode(err error, code string) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == code
}

// explain says what went wrong, where in the file, and what to do. sql is what was sent, or empty.
func explain(err error, sql string) error {
	var pg *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("interrupted: %w", err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer in time (see the timeouts in migration.yml): %w", err)
	case !errors.As(err, &pg):
		return err
	}

	var b strings.Builder
	if pg.Position > 0 && sql != "" {
		fmt.Fprintf(&b, "line %d: ", lineOf(sql, int(pg.Position)))
	}
	b.WriteString(pg.Message)
	for _, more := range []string{pg.Detail, pg.Hint, advice[pg.Code]} {
		if more != "" {
			b.WriteString("; " + strings.TrimSuffix(more, "."))
		}
	}
	return &failure{text: fmt.Sprintf("%s (SQLSTATE %s)", b.String(), pg.Code), err: err}
}

// failure is an error from PostgreSQL in our words.
type failure struct {
	text string
	err  error
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.err }

var advice = map[string]string{
	lockNotAvailable:       "a lock was not free within lock_timeout (migration.yml) and traffic was not to queue any longer: run it again, at a quieter time",
	queryCanceled:          "it took longer than statement_timeout (migration.yml), or somebody cancelled it",
	activeTransaction:      "such a statement stands alone in a file whose first line is -- migration: no transaction",
	insufficientPrivileges: "migrations run as DB_OWNER, which must own the schema and its tables",
}

// explainConnect says why there is no connection. The driver's own text names the user and database and repeats itself
// for each address it tried.
func explainConnect(err error, shard config.Shard, addr string) error {
	reason := "no answer: start it (make up), or correct " + addrVariable(shard)
	var pg *pgconn.PgError
	switch {
	case errors.Is(err, context.Canceled):
		reason = "interrupted"
	case isCode(err, invalidPassword):
		reason = "DB_OWNER or DB_OWNER_PASSWORD is not what this server knows"
	case isCode(err, undefinedDatabase):
		reason = "the database " + shard.Database + " does not exist there: is this another shard's server?"
	case isCode(err, protocolViolation):
		reason = "this looks like PgBouncer; migrations go straight to the primary: correct " + addrVariable(shard)
	case errors.As(err, &pg):
		reason = fmt.Sprintf("%s (SQLSTATE %s)", pg.Message, pg.Code)
	case errors.Is(err, context.DeadlineExceeded):
		reason = "no answer in time (connect_timeout in migration.yml): is it up, and is " + addrVariable(shard) + " right?"
	}
	return &failure{text: fmt.Sprintf("cannot connect to %s: %s", addr, reason), err: err}
}

// addrVariable is the setting that says where a shard's primary is.
func addrVariable(shard config.Shard) string {
	return "SHARD_" + strings.TrimPrefix(shard.Name, "shard-") + "_PRIMARY_ADDR"
}

// lineOf turns PostgreSQL's position, in characters from 1, into a line.
func lineOf(sql string, position int) int {
	line := 1
	for i := 1; i < position && sql != ""; i++ {
		r, size := utf8.DecodeRuneInString(sql)
		if r == '\n' {
			line++
		}
		sql = sql[size:]
	}
	return line
}

// plain takes golang-migrate's sentinels out of what an operator reads.
func plain(err error) error {
	if errors.Is(err, migrate.ErrNoChange) {
		return nil
	}
	return err
}
