package shard

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"
)

func TestIsDefinite(t *testing.T) {
	t.Parallel()
	pg := func(severity, code, message string) error {
		return fmt.Errorf("query: %w", &pgconn.PgError{Severity: severity, SeverityUnlocalized: severity, Code: code, Message: message})
	}
	for _, test := range []struct {
		name string
		err  error
		want bool
	}{
		{"unique violation", pg("ERROR", "23505", ""), true},
		{"statement_timeout", pg("ERROR", "57014", ""), true},
		{"deadlock", pg("ERROR", "40P01", ""), true},
		{"lock_timeout", pg("ERROR", "55P03", ""), true},
		{"read-only", pg("ERROR", "25006", ""), true},
		{"no more connections", pg("FATAL", "53300", ""), true},
		{"no room for the table", pg("ERROR", "53100", ""), true},
		{"starting up", pg("FATAL", "57P03", ""), true},
		{"wrong password", pg("FATAL", "28P01", ""), true},
		{"no such database", pg("FATAL", "3D000", ""), true},
		{"no free server connection", pg("FATAL", "08P01", "query_wait_timeout"), true},
		{"primary is down", pg("FATAL", "08P01", "server login has been failing, try again later (server_login_retry)"), true},
		{"too late", fmt.Errorf("insert: %w", ErrTooLate), true},
		{"refused", &pgconn.ConnectError{}, true},
		{"no connection to be had", notSent{context.DeadlineExceeded}, true},
		{"dead connection", driver.ErrBadConn, true},

		{"server died", pg("FATAL", "08P01", "server conn crashed?"), false},
		{"no room for the log", pg("PANIC", "53100", ""), false},
		{"newer pooler's words", pg("ERROR", "08P01", "something else"), false},
		{"shutting down", pg("FATAL", "57P01", ""), false},
		{"crash of another backend", pg("WARNING", "57P02", ""), false},
		{"completion unknown", pg("ERROR", "40003", ""), false},
		{"transaction resolution unknown", pg("ERROR", "08007", ""), false},
		{"deadline after sending", context.DeadlineExceeded, false},
		{"cut", io.ErrUnexpectedEOF, false},
		{"reset", &net.OpError{Op: "read", Err: syscall.ECONNRESET}, false},
		{"anything else", errors.New("scan: a bug"), false},
	} {
		if got := isDefinite(test.err); got != test.want {
			t.Errorf("%s: definite = %t, want %t", test.name, got, test.want)
		}
	}
}

// TestWriteToNobody shows that what was never sent is no unknown outcome.
func TestWriteToNobody(t *testing.T) {
	t.Parallel()
	s := openNowhere(t, 1).All()[0]
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err := s.Write(ctx, []string{"a"}, func(*gorm.DB, time.Time) error { t.Error("there is no connection"); return nil })
	if err == nil || errors.Is(err, ErrOutcomeUnknown) {
		t.Errorf("got %v, want the refused connection", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	err = s.Write(ended, []string{"a"}, func(*gorm.DB, time.Time) error { return nil })
	if !errors.Is(err, context.Canceled) || errors.Is(err, ErrOutcomeUnknown) {
		t.Errorf("got %v, want the ended context", err)
	}
}

// TestIsDead looks at a connection before and after its server ends it.
func TestIsDead(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	tcp, ok := client.(*net.TCPConn)
	if !ok {
		t.Fatalf("dialled a %T", client)
	}
	if isDead(tcp) {
		t.Error("an idle connection counts as dead")
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); !isDead(tcp); {
		if time.Now().After(end) {
			t.Fatal("a connection that its server has ended counts as alive")
		}
	}
}
