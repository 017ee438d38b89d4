package repositories

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
)

// emailIndex is the unique index on lower(email).
const emailIndex = "users_email_key"

// translate gives a shard's error its kind, the words for the client, and the
// path for the log. It returns nil for nil.
func translate(shard, operation string, err error) error {
	if err == nil {
		return nil
	}
	cause := fmt.Errorf("%s: %s: %w", shard, operation, err)
	var pgErr *pgconn.PgError
	switch {
	case errors.Is(err, gorm.ErrRecordNotFound):
		return &entities.Error{Kind: entities.NotFound, Message: "no user has this id", Err: cause}
	case errors.As(err, &pgErr) && pgErr.Code == "23505" && pgErr.ConstraintName == emailIndex:
		return &entities.Error{Kind: entities.Conflict, Message: "the e-mail address is taken", Err: cause}
	case isUnavailable(err):
		return &entities.Error{Kind: entities.Unavailable, Message: shard + " does not answer", Err: cause}
	default:
		return &entities.Error{Kind: entities.Internal, Err: cause}
	}
}

// isUnavailable tells a server that cannot answer now from one that says no.
func isUnavailable(err error) bool {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		switch class := pgErr.Code[:min(2, len(pgErr.Code))]; class {
		case "08", // connection; PgBouncer's own refusals too
			"28", // authentication: a password changed under us
			"40", // rolled back: deadlock, conflict with recovery
			"53", // out of connections, memory or disk
			"57", // shutting down, statement_timeout
			"58": // the disk or the system
			return true
		}
		switch pgErr.Code {
		case "25006", // read-only: the primary became a replica
			"3D000", // no such database
			"42P01", // no such table: not migrated yet
			"55P03": // lock_timeout
			return true
		}
		return false
	}
	var netErr net.Error
	var connectErr *pgconn.ConnectError
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		errors.As(err, &netErr) || errors.As(err, &connectErr) || pgconn.SafeToRetry(err) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		strings.HasSuffix(err.Error(), "conn closed")
}
