package repositories

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
)

func TestTranslate(t *testing.T) {
	t.Parallel()
	pg := func(code string) error {
		return fmt.Errorf("exec: %w", &pgconn.PgError{Code: code, Message: "secret detail"})
	}
	for _, test := range []struct {
		name    string
		err     error
		kind    entities.Kind
		message string
	}{
		{"no row", gorm.ErrRecordNotFound, entities.NotFound, "no user has this id"},
		{"taken id", &pgconn.PgError{Code: "23505", ConstraintName: "users_pkey"}, entities.Internal, ""},
		{"check constraint", pg("23514"), entities.Internal, ""},
		{"syntax", pg("42601"), entities.Internal, ""},
		{"not migrated", pg("42P01"), entities.Unavailable, "shard-3 does not answer"},
		{"statement_timeout", pg("57014"), entities.Unavailable, "shard-3 does not answer"},
		{"lock_timeout", pg("55P03"), entities.Unavailable, "shard-3 does not answer"},
		{"read-only", pg("25006"), entities.Unavailable, "shard-3 does not answer"},
		{"too many connections", pg("53300"), entities.Unavailable, "shard-3 does not answer"},
		{"disk full", pg("53100"), entities.Unavailable, "shard-3 does not answer"},
		{"PgBouncer's own", pg("08P01"), entities.Unavailable, "shard-3 does not answer"},
		{"deadlock", pg("40P01"), entities.Unavailable, "shard-3 does not answer"},
		{"empty code", pg(""), entities.Internal, ""},
		{"deadline", fmt.Errorf("query: %w", context.DeadlineExceeded), entities.Unavailable, "shard-3 does not answer"},
		{"refused", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, entities.Unavailable, "shard-3 does not answer"},
		{"bad connection", driver.ErrBadConn, entities.Unavailable, "shard-3 does not answer"},
		{"cut", io.ErrUnexpectedEOF, entities.Unavailable, "shard-3 does not answer"},
		{"a bug", errors.New("scan: unsupported"), entities.Internal, ""},
	} {
		err := translate("shard-3", "insert user", test.err)
		var e *entities.Error
		if !errors.As(err, &e) || e.Kind != test.kind || e.Message != test.message {
			t.Errorf("%s: got %#v, want kind %d, message %q", test.name, err, test.kind, test.message)
		}
		if named := e != nil && slices.Equal(e.Shards, []string{"shard-3"}); named != (test.kind == entities.Unavailable) {
			t.Errorf("%s: got %#v, want it to name shard-3 only when that is unavailable", test.name, err)
		}
		if !errors.Is(err, test.err) {
			t.Errorf("%s: the cause is lost", test.name)
		}
	}
	if err := translate("shard-3", "insert user", nil); err != nil {
		t.Errorf("no error becomes %v", err)
	}
}

// A partition's index is named after the partition.
func TestViolates(t *testing.T) {
	for constraint, want := range map[string]bool{"users_pkey": true, "users_p12_pkey": true, "users_p_pkey": false, "email_claims_pkey": false} {
		if got := violates(&pgconn.PgError{Code: "23505", ConstraintName: constraint}, "users_pkey"); got != want {
			t.Errorf("%s: got %t, want %t", constraint, got, want)
		}
	}
}
