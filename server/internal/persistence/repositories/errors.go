package repositories

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	sharding "github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
)

// What storage has to say that is no failure of its own.
var (
	errAbsent    = &entities.Error{Kind: entities.NotFound, Message: "no user has this id"}
	errNoEmail   = &entities.Error{Kind: entities.NotFound, Message: "no user has this e-mail address"}
	errTaken     = &entities.Error{Kind: entities.Conflict, Message: "the e-mail address is taken"}
	errChanged   = &entities.Error{Kind: entities.PreconditionFailed, Message: "the user has changed since the version in If-Match"}
	errKeyReused = &entities.Error{
		Kind: entities.KeyReused, Message: "this Idempotency-Key was sent with another body before; draw a new key for a new request",
	}
	errCrowded = &entities.Error{Kind: entities.Contended, Message: "others keep changing this user or address"}
)

// translate gives a shard's error its kind, the words for the client, and the
// path for the log. It returns nil for nil.
func translate(shard, operation string, err error) error {
	if err == nil {
		return nil
	}
	cause := fmt.Errorf("%s: %s: %w", shard, operation, err)
	switch {
	case errors.Is(err, gorm.ErrRecordNotFound):
		return &entities.Error{Kind: entities.NotFound, Message: errAbsent.Message, Err: cause}
	case errors.Is(err, sharding.ErrOutcomeUnknown):
		return &entities.Error{
			Kind: entities.OutcomeUnknown, Message: shard + " did not answer after it was told to write", Shards: []string{shard}, Err: cause,
		}
	case isUnavailable(err):
		return unavailable(shard, cause)
	default:
		return &entities.Error{Kind: entities.Internal, Err: cause}
	}
}

// translateUnseen is translate for a write that shows in no answer, such as a
// claim: it may be done in vain, so not to know is no more than to have failed.
func translateUnseen(shard, operation string, err error) error {
	if errors.Is(err, sharding.ErrOutcomeUnknown) {
		return unavailable(shard, fmt.Errorf("%s: %s: %w", shard, operation, err))
	}
	return translate(shard, operation, err)
}

func unavailable(shard string, cause error) error {
	return &entities.Error{Kind: entities.Unavailable, Message: shard + " does not answer", Shards: []string{shard}, Err: cause}
}

// partition begins the name of an index of one of users' partitions, where users has any.
var partition = regexp.MustCompile(`^users_p\d+_`)

// violates tells whether err is of a unique index of one of these names.
func violates(err error, indexes ...string) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.Code == "23505" && slices.Contains(indexes, partition.ReplaceAllString(pgErr.ConstraintName, "users_"))
}

// isUnavailable tells a server that cannot answer now from one that says no.
func isUnavailable(err error) bool {
	if errors.Is(err, sharding.ErrNotTheShard) || errors.Is(err, sharding.ErrOutdated) || errors.Is(err, sharding.ErrRefused) {
		return true
	}
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
	return errors.Is(err, sharding.ErrTooLate) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		errors.As(err, &netErr) || errors.As(err, &connectErr) || pgconn.SafeToRetry(err) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		strings.HasSuffix(err.Error(), "conn closed")
}
