package shard

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"
)

var (
	// ErrOutcomeUnknown marks a write that was sent and not answered: it may
	// have happened, and it may still happen until its deadline.
	ErrOutcomeUnknown = errors.New("the outcome of the write is unknown")

	// ErrTooLate marks a write that did nothing because its deadline had passed.
	ErrTooLate = errors.New("the write came after its deadline")
)

// Write runs a statement that changes what is stored under the keys, which are
// in their canonical form. The statement must do nothing once the primary's
// clock_timestamp() has reached the deadline, and must then return ErrTooLate.
// It has db's one connection, for one statement; it may be called again if
// nothing was sent.
//
// A nil error means that the primary has acknowledged the statement.
// ErrOutcomeUnknown means that it may have run or may yet run until the
// deadline. After any other error it has not changed anything and never will.
func (s *Shard) Write(ctx context.Context, keys []string, statement func(db *gorm.DB, deadline time.Time) error) error {
	return s.write(ctx, s.primaryGate.through, keys, statement)
}

// RoomToWrite returns the error with which Write would refuse a request now, or nil. It is
// for who writes to another shard first, and then here, where Visit lets it in: asked
// before, it leaves nothing there that was in vain. It reserves nothing.
func (s *Shard) RoomToWrite(ctx context.Context) error { return s.primaryGate.room(ctx) }

type through = func(ctx context.Context, pool *gorm.DB, ask func(*gorm.DB) error) error

func (s *Shard) write(ctx context.Context, through through, keys []string, statement func(db *gorm.DB, deadline time.Time) error) error {
	err := through(ctx, s.Primary, func(db *gorm.DB) error { return s.mark(ctx, db, keys, statement) })
	if err != nil && !isDefinite(err) {
		return fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
	}
	return err
}

// mark keeps reads of the keys from the replica until it has replayed what the
// statement did.
func (s *Shard) mark(ctx context.Context, db *gorm.DB, keys []string, statement func(db *gorm.DB, deadline time.Time) error) error {
	w, ok := s.table.Begin(ctx, s.index, keys...)
	if !ok { // the first write since the start is faster than the first sample
		if err := s.learnClock(db); err != nil {
			return notSent{err}
		}
		if w, ok = s.table.Begin(ctx, s.index, keys...); !ok {
			return notSent{errors.New("the primary's clock is not known")}
		}
	}
	err := statement(db, w.Deadline)
	if err == nil || isDefinite(err) {
		w.Done()
	}
	if errors.Is(err, ErrTooLate) {
		_ = s.learnClock(db) // was it set forward? If it can't be asked, the next write will see
	}
	return err
}

func (s *Shard) learnClock(db *gorm.DB) error {
	return s.table.LearnClock(s.index, func() (now time.Time, err error) {
		err = db.Statement.ConnPool.QueryRowContext(db.Statement.Context, "SELECT clock_timestamp()").Scan(&now)
		return now, err
	})
}

// notSent is a failure from before anything was sent: no connection was to be
// had, or none was asked for.
type notSent struct{ error }

// Unwrap lets errors.Is and errors.As see the cause.
func (e notSent) Unwrap() error { return e.error }

// isDefinite tells an error after which the statement certainly has not run and
// never will from all others. What is not known here is not definite.
func isDefinite(err error) bool {
	var (
		unsent     notSent
		pgErr      *pgconn.PgError
		connectErr *pgconn.ConnectError
	)
	switch {
	case errors.Is(err, ErrTooLate), errors.As(err, &unsent), errors.As(err, &connectErr),
		errors.Is(err, driver.ErrBadConn), pgconn.SafeToRetry(err):
		return true
	case errors.As(err, &pgErr):
		return isRefusal(pgErr)
	default:
		return false
	}
}

// poolerRefusals are what PgBouncer says, all under 08P01, when it ends a client
// whose statement it has not passed on. Under the same code it says "server conn
// crashed?" and more of those whose statement it has.
var poolerRefusals = []string{
	"query_wait_timeout", "server_login_retry", "client_login_timeout", "max_client_conn", "cannot connect to server",
}

// isRefusal tells an answer that says no from one that says the server is going.
// A statement that ends in an ERROR is rolled back as a whole. FATAL and PANIC
// come at any time, even after a commit that is not yet acknowledged, except
// those that belong to the beginning of a session.
func isRefusal(e *pgconn.PgError) bool {
	class := e.Code[:min(2, len(e.Code))]
	switch {
	case class == "08":
		return slices.ContainsFunc(poolerRefusals, func(words string) bool { return strings.Contains(e.Message, words) })
	case e.Code == "40003": // statement_completion_unknown
		return false
	case class == "28", class == "3D", e.Code == "53300", e.Code == "57P03":
		return true
	}
	severity := e.SeverityUnlocalized
	if severity == "" {
		severity = e.Severity
	}
	return severity == "ERROR"
}
