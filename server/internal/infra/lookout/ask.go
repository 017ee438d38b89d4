package lookout

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
)

// serverFound is what a database said of itself.
type serverFound struct {
	replica           bool
	wal               int64 // written, or replayed by a replica; in bytes
	users             int64 // about
	connections       int64
	commits, rollback int64

	// Of the slot that keeps WAL for the replica; of a primary.
	slotStatus   string // as in pg_replication_slots, or missing
	slotActive   bool
	slotRetained int64
	slotMost     int64 // -1 is without end
}

// serverQuery asks all of it in one round trip, of what the server's role may see
// and what costs nothing. How many users there are is what the statistics say:
// those of a primary count each change, but begin anew after a crash. Of a
// partitioned table they are its partitions'.
const serverQuery = `
SELECT pg_is_in_recovery(),
       (CASE WHEN pg_is_in_recovery() THEN coalesce(pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0'), 0)
             ELSE pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') END)::bigint,
       coalesce((SELECT sum(coalesce(nullif(pg_stat_get_live_tuples(c.oid), 0), greatest(c.reltuples, 0)::bigint))
                   FROM (SELECT to_regclass('users')::oid UNION ALL SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass('users')) AS t (relid)
                   JOIN pg_class AS c ON c.oid = t.relid AND c.relkind = 'r'), 0)::bigint,
       d.numbackends::bigint, d.xact_commit, d.xact_rollback,
       coalesce(s.wal_status, 'missing'), coalesce(s.active, false),
       (CASE WHEN pg_is_in_recovery() THEN 0 ELSE coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn), 0) END)::bigint,
       pg_size_bytes(current_setting('max_slot_wal_keep_size'))
  FROM pg_stat_database AS d LEFT JOIN pg_replication_slots AS s ON s.slot_name = $1
 WHERE d.datname = current_database()`

func askServer(name string) func(context.Context, *pgx.Conn) (serverFound, error) {
	slot := shard.SlotName(name)
	return func(ctx context.Context, conn *pgx.Conn) (f serverFound, err error) {
		err = conn.QueryRow(ctx, serverQuery, slot).Scan(&f.replica, &f.wal, &f.users, &f.connections, &f.commits, &f.rollback,
			&f.slotStatus, &f.slotActive, &f.slotRetained, &f.slotMost)
		return f, err
	}
}

// poolerFound is what a PgBouncer said of the shard's database, all its users together.
type poolerFound struct {
	sums    map[string]int64 // by the columns of SHOW POOLS; versions differ in what they have
	longest time.Duration    // that a client has waited
}

func askPooler(ctx context.Context, conn *pgx.Conn) (poolerFound, error) {
	rows, err := conn.Query(ctx, "SHOW POOLS")
	if err != nil {
		return poolerFound{}, fmt.Errorf("SHOW POOLS: %w", err)
	}
	defer rows.Close()
	f := poolerFound{sums: map[string]int64{}}
	for rows.Next() {
		pool := map[string]string{}
		for i, field := range rows.FieldDescriptions() {
			pool[field.Name] = string(rows.RawValues()[i]) // as text
		}
		f.add(pool)
	}
	if err := rows.Err(); err != nil {
		return poolerFound{}, fmt.Errorf("SHOW POOLS: %w", err)
	}
	return f, nil
}

// add takes in a pool, which is one user's of one database.
func (f *poolerFound) add(pool map[string]string) {
	if pool["database"] == "pgbouncer" { // its console's own
		return
	}
	numbers := map[string]int64{}
	for name, text := range pool {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			numbers[name] = n
			f.sums[name] += n
		}
	}
	waited := time.Duration(numbers["maxwait"])*time.Second + time.Duration(numbers["maxwait_us"])*time.Microsecond
	f.longest = max(f.longest, waited)
}
