package freshness

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"hash/fnv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// Incarnation is one life of a replica, from when it began to replay to its end;
// 0 is none. It is a hash: two lives in a row are taken for one once in 2²⁸.
type Incarnation uint32

// incarnationColumns tell one life of a server from another.
const incarnationColumns = `
(SELECT system_identifier FROM pg_control_system()),
(SELECT timeline_id FROM pg_control_checkpoint()),
(extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint,
(SELECT coalesce((extract(epoch FROM stats_reset) * 1000000)::bigint, 0) FROM pg_stat_bgwriter)`

// life is what incarnationColumns say.
type life struct {
	system      int64
	timeline    int64
	started     int64
	initialised int64
}

func (l *life) dest() []any { return []any{&l.system, &l.timeline, &l.started, &l.initialised} }

func (l *life) incarnation() Incarnation {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%d/%d/%d/%d", l.system, l.timeline, l.started, l.initialised)
	const golden = 0x9e3779b97f4a7c15
	return Incarnation(max(1, h.Sum64()*golden>>(64-identBits)))
}

// incarnationKey is where a connection keeps its server's.
const incarnationKey = "freshness.incarnation"

// Identify asks a new connection to a replica which incarnation it leads to. It
// fits stdlib.OptionAfterConnect.
func Identify(ctx context.Context, conn *pgx.Conn) error {
	var l life
	if err := conn.QueryRow(ctx, "SELECT "+incarnationColumns, pgx.QueryExecModeSimpleProtocol).Scan(l.dest()...); err != nil {
		return fmt.Errorf("ask for the replica's incarnation: %w", err)
	}
	conn.PgConn().CustomData()[incarnationKey] = l.incarnation()
	return nil
}

// Discard returns what drops pooled connections to another incarnation of the
// shard's replica than the present one. It fits stdlib.OptionResetSession.
func (t *Table) Discard(shard int) func(context.Context, *pgx.Conn) error {
	return func(_ context.Context, conn *pgx.Conn) error {
		present := proofWord(t.mem.shard[shard].proven.Load()).incarnation()
		if present != 0 && incarnationOf(conn) != present {
			return driver.ErrBadConn
		}
		return nil
	}
}

// Leads tells which incarnation a connection leads to that was Identified.
func Leads(conn *sql.Conn) (replica Incarnation, err error) {
	err = conn.Raw(func(driverConn any) error {
		c, ok := driverConn.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("connection is a %T, not pgx's", driverConn)
		}
		replica = incarnationOf(c.Conn())
		return nil
	})
	return replica, err
}

func incarnationOf(conn *pgx.Conn) Incarnation {
	replica, _ := conn.PgConn().CustomData()[incarnationKey].(Incarnation)
	return replica
}
