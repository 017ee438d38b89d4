package shard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/freshness"
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

func open(node Node, limits Limits, index int, admit func(context.Context, *pgx.Conn) error) (*Shard, error) {
	s := &Shard{Name: node.Name, index: index, table: limits.Table, readTimeout: limits.ReadTimeout, maxLag: limits.MaxLag}
	var err error
	s.Primary, err = openPool(node.Primary, poolerExecMode, limits.WriteOpen, limits.WriteIdle,
		stdlib.OptionAfterConnect(admit), stdlib.OptionResetSession(refuseDead))
	if err != nil {
		return nil, fmt.Errorf("primary: %w", err)
	}
	if node.Replica == nil {
		return s, nil
	}
	discard := limits.Table.Discard(index)
	s.Replica, err = openPool(node.Replica, replicaExecMode, limits.ReadOpen, limits.ReadIdle,
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

// openPool connects to nothing yet.
func openPool(conn *pgx.ConnConfig, mode pgx.QueryExecMode, maxOpen, maxIdle int, options ...stdlib.OptionOpenDB) (*gorm.DB, error) {
	conn = conn.Copy()
	conn.DefaultQueryExecMode = mode
	pool := stdlib.OpenDB(*conn, options...)
	pool.SetMaxOpenConns(maxOpen)
	pool.SetMaxIdleConns(maxIdle)
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
