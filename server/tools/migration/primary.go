package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	shards "github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
)

// noVersion is the version of a shard on which nothing was applied; golang-migrate's number for it.
const noVersion = -1

// primary is a connection to one shard's primary as the owner of the schema.
type primary struct {
	shard config.Shard
	conn  *pgx.Conn
	set   settings
	api   string // the role that serves requests
}

// connect opens a connection to change a shard with.
func (t *tool) connect(ctx context.Context, shard config.Shard) (*primary, error) {
	// An interrupted statement is cancelled on the server as well, not only left alone.
	return t.connectWith(ctx, shard, func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: t.set.ConnectTimeout}
	})
}

// connectWith opens a connection to the one of the shard's servers that is the primary. atCancel, or nil for pgx's own way, says what
// happens to the connection when a context ends.
func (t *tool) connectWith(ctx context.Context, shard config.Shard, atCancel func(*pgconn.PgConn) ctxwatch.Handler) (*primary, error) {
	ctx, cancel := context.WithTimeout(ctx, t.set.ConnectTimeout)
	defer cancel()

	conn, err := shards.ConnectPrimary(ctx, shard.Servers(), func(ctx context.Context, addr string) (*pgx.Conn, error) {
		return t.connectAt(ctx, shard, addr, atCancel)
	})
	if err != nil {
		return nil, err
	}
	p := &primary{shard: shard, conn: conn, set: t.set, api: t.cfg.DBUser}
	if err := p.check(ctx); err != nil {
		return nil, errors.Join(err, p.close(ctx))
	}
	return p, nil
}

func (t *tool) connectAt(ctx context.Context, shard config.Shard, addr string, atCancel func(*pgconn.PgConn) ctxwatch.Handler) (*pgx.Conn, error) {
	options, err := pgx.ParseConfig(t.cfg.DatabaseURL(addr, t.cfg.DBOwner, t.cfg.DBOwnerPassword).String())
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]string{
		"application_name":  t.name,
		"search_path":       pgx.Identifier{t.set.Schema}.Sanitize(),
		"lock_timeout":      milliseconds(t.set.LockTimeout),
		"statement_timeout": milliseconds(t.set.StatementTimeout),
		// A file whose tool was killed ends within seconds, and with it the shard's lock.
		"client_connection_check_interval":    "2s",
		"idle_in_transaction_session_timeout": "60s",
	} {
		options.RuntimeParams[name] = value
	}
	if atCancel != nil {
		options.BuildContextWatcherHandler = atCancel
	}

	conn, err := pgx.ConnectConfig(ctx, options)
	if err != nil {
		return nil, explainConnect(err, shard, addr)
	}
	return conn, nil
}

// addr is where the primary was found.
func (p *primary) addr() string {
	to := p.conn.Config()
	return net.JoinHostPort(to.Host, strconv.Itoa(int(to.Port)))
}

// check refuses a schema that is missing.
func (p *primary) check(ctx context.Context) error {
	var schema bool
	err := p.conn.QueryRow(ctx, "SELECT to_regnamespace($1) IS NOT NULL", pgx.Identifier{p.set.Schema}.Sanitize()).Scan(&schema)
	switch {
	case err != nil:
		return explain(err, "")
	case !schema:
		return fmt.Errorf("schema %q (migration.yml) does not exist there", p.set.Schema)
	}
	return nil
}

// close ends the session and frees every lock it held, also after an interrupt.
func (p *primary) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.set.ConnectTimeout)
	defer cancel()
	return p.conn.Close(ctx)
}

// table is the table of versions, quoted.
func (p *primary) table() string { return pgx.Identifier{p.set.Schema, p.set.Table}.Sanitize() }

// version reads what the shard stands at, and whether another tool left it half way.
func (p *primary) version(ctx context.Context) (version int, dirty bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, p.set.ConnectTimeout)
	defer cancel()

	err = p.conn.QueryRow(ctx, "SELECT version, dirty FROM "+p.table()).Scan(&version, &dirty)
	switch {
	case errors.Is(err, pgx.ErrNoRows), isCode(err, undefinedTable):
		return noVersion, false, nil
	case err != nil:
		return 0, false, explain(err, "")
	}
	return version, dirty, nil
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
