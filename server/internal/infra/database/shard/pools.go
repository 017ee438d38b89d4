package shard

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/freshness"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/metrics"
)

const (
	// PgBouncer hands each transaction to any server connection, so nothing may
	// be left prepared on one: exec sends a statement and its arguments in one
	// round trip and prepares nothing by name.
	poolerExecMode = pgx.QueryExecModeExec
	// A replica is reached directly; statements prepared once halve a read.
	replicaExecMode = pgx.QueryExecModeCacheStatement

	// An hour-old connection is replaced and an idle one given up, so that a
	// server moved behind a name is found again and a burst's end frees memory.
	connMaxLifetime = time.Hour
	connMaxIdleTime = 5 * time.Minute
)

func open(node Node, limits Limits, index int, admit func(context.Context, *pgx.Conn) error, answers *atomic.Int64, tasks *tasks) (*Shard, error) {
	s := &Shard{
		Name: node.Name, index: index, table: limits.Table, readTimeout: limits.ReadTimeout, maxLag: limits.MaxLag,
		cache: limits.Cache, cacheMaxAge: limits.CacheMaxAge, looks: limits.CacheObserver,
	}
	var err error
	s.primaryGate = newGate(node.Name, fromPrimary, limits.WriteOpen, limits.RequestTimeout, limits.RequestTimeout, func(ctx context.Context) error {
		return lookAt(ctx, node.Primary, admit, commitSomething)
	}, answers, limits.Log, tasks)
	s.primaryGate.observer = limits.observer(index, metrics.Primary)
	s.primaryGate.spans = newSpans(limits.Tracer, node.Name, fromPrimary)
	s.Primary, err = openPool(node.Primary, poolerExecMode, limits.WriteOpen, limits.WriteIdle, limits.RequestTimeout, s.primaryGate.turns, tasks, limits.Tracer != nil,
		stdlib.OptionAfterConnect(admit), stdlib.OptionResetSession(func(ctx context.Context, conn *pgx.Conn) error {
			if limits.Table.Outdated(index) { // the pooler was pointed back, under the connection: a new one is refused
				return driver.ErrBadConn
			}
			return refuseDead(ctx, conn)
		}))
	if err != nil {
		return nil, fmt.Errorf("primary: %w", err)
	}
	if node.Replica == nil {
		return s, nil
	}
	s.replicaGate = newGate(node.Name, fromReplica, limits.ReadOpen, limits.ReadTimeout, limits.RequestTimeout, func(ctx context.Context) error {
		return lookAt(ctx, node.Replica, admit, "SELECT 1")
	}, answers, limits.Log, tasks)
	s.replicaGate.observer = limits.observer(index, metrics.Replica)
	s.replicaGate.spans = newSpans(limits.Tracer, node.Name, fromReplica)
	discard := limits.Table.Discard(index)
	s.Replica, err = openPool(node.Replica, replicaExecMode, limits.ReadOpen, limits.ReadIdle, limits.RequestTimeout, s.replicaGate.turns, tasks, limits.Tracer != nil,
		stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) error {
			if err := admit(ctx, conn); err != nil {
				return err
			}
			return freshness.Identify(ctx, conn)
		}),
		stdlib.OptionResetSession(func(ctx context.Context, conn *pgx.Conn) error {
			if err := refuseDead(ctx, conn); err != nil {
				return err
			}
			return discard(ctx, conn)
		}))
	if err != nil {
		return nil, fmt.Errorf("replica: %w", err)
	}
	return s, nil
}

// commitSomething is on disk when it is answered. It changes no row; logical
// decoding, which nobody does here, would show the message.
const commitSomething = "SELECT pg_logical_emit_message(true, 'messenger-look', '')"

// lookAt tells whether the server can be logged in to, is the shard's, and does
// the work. It goes past the pool, which may be full of requests that hang, and
// has all of ctx's time, for each of its addresses a part: a busy machine logs in slowly.
func lookAt(ctx context.Context, server *pgx.ConnConfig, admit func(context.Context, *pgx.Conn) error, work string) (err error) {
	server = server.Copy()
	if end, ok := ctx.Deadline(); ok {
		server.ConnectTimeout = max(server.ConnectTimeout, time.Until(end)/time.Duration(1+len(server.Fallbacks)))
	}
	conn, err := pgx.ConnectConfig(ctx, server)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // it has answered or not
	if err := admit(ctx, conn); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, work, pgx.QueryExecModeSimpleProtocol)
	return err
}

// openPool connects to nothing yet.
func openPool(conn *pgx.ConnConfig, mode pgx.QueryExecMode, maxOpen, maxIdle int, patience time.Duration, turns *turns, tasks *tasks, traced bool, options ...stdlib.OptionOpenDB) (*gorm.DB, error) {
	conn = conn.Copy()
	conn.DefaultQueryExecMode = mode
	if traced {
		conn.Tracer = statements{}
	}
	pool := newPool(stdlib.GetConnector(*conn, options...), maxOpen, maxIdle, patience, turns, tasks)
	pool.SetConnMaxLifetime(connMaxLifetime)
	pool.SetConnMaxIdleTime(connMaxIdleTime)

	db, err := gorm.Open(postgres.New(postgres.Config{Conn: pool}), &gorm.Config{
		DisableAutomaticPing:   true,           // a shard may be down while we start
		SkipDefaultTransaction: true,           // a single statement needs no BEGIN and COMMIT
		PrepareStmt:            false,          // pgx prepares, where it is safe
		QueryFields:            true,           // SELECT * would fail once when a column is added under a prepared statement
		Logger:                 logger.Discard, // SQL holds personal data; errors are logged where they are answered
	})
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return db, nil
}
