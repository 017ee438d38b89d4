package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// asAPI connects as the API's own role, which sees its own sessions' queries.
func asAPI(t testing.TB, cfg config.Config, addr, database string) *pgx.Conn {
	t.Helper()
	target, err := pgx.ParseConfig(cfg.DatabaseURL(addr, cfg.DBUser, cfg.DBPassword).String())
	if err != nil {
		t.Fatal(err)
	}
	target.Database = database
	target.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol // all that PgBouncer's console speaks
	conn, err := pgx.ConnectConfig(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	return conn
}

// console returns a column of what PgBouncer's console shows, from the rows
// that are about our database.
func console(t testing.TB, cfg config.Config, i int, command, column string) (values []string) {
	t.Helper()
	rows, err := asAPI(t, cfg, cfg.Shards[i].Pooler, "pgbouncer").Query(t.Context(), command)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	index := func(name string) int {
		for i, f := range rows.FieldDescriptions() {
			if f.Name == name {
				return i
			}
		}
		t.Fatalf("%s has no column %s", command, name)
		return 0
	}
	for rows.Next() {
		raw := rows.RawValues()
		if string(raw[index("database")]) == cfg.Shards[i].Database {
			values = append(values, string(raw[index(column)]))
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return values
}

// TestPaths looks from inside the servers at who talks to them: writes come
// through PgBouncer to the primary, reads go to the replica.
func TestPaths(t *testing.T) {
	cfg := testcluster.Open(t)
	s := start(t)
	ring, err := shard.NewRing(shardNames(cfg))
	if err != nil {
		t.Fatal(err)
	}
	for i, sh := range cfg.Shards {
		primary := asAPI(t, cfg, sh.Primary, sh.Database)
		u := createOn(t, s, ring, sh.Name)
		s.awaitServedBy(t, "/api/v1/users/"+u.ID, sh.Name+"/replica")
		began := testcluster.MustQuery[string](t, primary, "SELECT clock_timestamp()::text")[0]
		for range 50 {
			must[user](t, s, "GET", "/api/v1/users/"+u.ID, "", 200)
		}

		// The primary knows the API's sessions only by PgBouncer's sockets.
		const sessions = "SELECT client_port::text FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid()"
		ports := testcluster.MustQuery[string](t, primary, sessions)
		poolers := console(t, cfg, i, "SHOW SERVERS", "local_port")
		if len(ports) == 0 {
			t.Errorf("%s's primary sees no session of the API", sh.Name)
		}
		for _, port := range ports {
			if !slices.Contains(poolers, port) {
				t.Errorf("%s's primary has a session from port %s, which is none of PgBouncer's %v", sh.Name, port, poolers)
			}
		}
		if pools := console(t, cfg, i, "SHOW POOLS", "cl_active"); len(pools) == 0 || pools[0] == "0" {
			t.Errorf("%s's PgBouncer shows %v active clients, want some", sh.Name, pools)
		}

		// The sessions' last statements: no read on the primary, all reads on the replica.
		const statements = "SELECT query FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid()" +
			" AND query LIKE '% FROM users %' AND query_start >= $1::timestamptz" // PgBouncer keeps sessions of earlier tests
		for _, q := range testcluster.MustQuery[string](t, primary, statements, began) {
			if strings.HasPrefix(q, "SELECT") {
				t.Errorf("%s's primary was asked %s", sh.Name, q)
			}
		}
		reads := testcluster.MustQuery[string](t, asAPI(t, cfg, sh.Replica, sh.Database), statements, began)
		if len(reads) == 0 {
			t.Errorf("%s's replica was asked nothing", sh.Name)
		}
		for _, q := range reads {
			if !strings.HasPrefix(q, "SELECT") {
				t.Errorf("%s's replica was asked %s", sh.Name, q)
			}
		}
	}
}

// TestStatements reads what the API says to PgBouncer and to a replica, word by
// word: to PgBouncer each write is one statement in one exchange, without a
// transaction around it and with nothing prepared by name.
func TestStatements(t *testing.T) {
	cfg := testcluster.Open(t)
	pooler := testcluster.NewProxy(t, cfg.Shards[0].Pooler)
	replica := testcluster.NewProxy(t, cfg.Shards[0].Replica)
	s := start(t, "SHARD_0_WRITE_ADDR="+pooler.Addr, "SHARD_0_REPLICA_ADDR="+replica.Addr)
	ring, err := shard.NewRing(shardNames(cfg))
	if err != nil {
		t.Fatal(err)
	}
	const rounds = 10
	for range rounds {
		u := createOn(t, s, ring, "shard-0")
		s.awaitServedBy(t, "/api/v1/users/"+u.ID, "shard-0/replica")
		must[user](t, s, "GET", "/api/v1/users/"+u.ID, "", 200)
		must[user](t, s, "PUT", "/api/v1/users/"+u.ID, `{"name":"Augusta"}`, 200)
		must[any](t, s, "DELETE", "/api/v1/users/"+u.ID, "", 204)
	}
	writes := 0
	for _, said := range pooler.Messages() {
		for _, exchange := range exchanges(said) {
			text, prepared := statement(exchange)
			creates := strings.HasPrefix(text, "SELECT create_user(")
			if !creates && (!strings.Contains(text, "users") || strings.HasPrefix(strings.TrimSpace(text), "SELECT")) {
				if verb := strings.ToUpper(strings.TrimSpace(text)); strings.HasPrefix(verb, "BEGIN") || strings.HasPrefix(verb, "COMMIT") {
					t.Errorf("PgBouncer is told %s", text)
				}
				continue // health, the check at start, database/sql looking after an idle connection
			}
			if prepared != "" {
				t.Errorf("PgBouncer is told to prepare %q as %q", text, prepared)
			}
			if got := types(exchange); got != "PBDES" {
				t.Errorf("%s goes to PgBouncer as %s, want one exchange PBDES: Parse, Bind, Describe, Execute, Sync", text, got)
			}
			writes++
		}
	}
	if want := 3 * rounds; writes != want {
		t.Errorf("PgBouncer was told %d writes, want one for each of %d creates, updates and deletes", writes, want)
	}

	parsed, executed := 0, 0
	for _, said := range replica.Messages() {
		for _, exchange := range exchanges(said) {
			if text, prepared := statement(exchange); strings.Contains(text, " FROM users ") {
				parsed++
				if prepared == "" {
					t.Errorf("the replica is not told to prepare %q", text)
				}
			}
			if strings.Contains(types(exchange), "E") {
				executed++
			}
		}
	}
	if parsed == 0 || executed < rounds || parsed > workers {
		t.Errorf("the replica was told to prepare %d times and to execute %d times, want at most once per worker for %d reads", parsed, executed, rounds)
	}
}

// exchanges cuts what a client said into what it asked for at one go: to the
// next Sync, or a simple query.
func exchanges(said []testcluster.Message) (list [][]testcluster.Message) {
	var exchange []testcluster.Message
	for _, m := range said {
		if m.Type == 'p' || m.Type == 'X' { // password, good-bye
			continue
		}
		exchange = append(exchange, m)
		if m.Type == 'S' || m.Type == 'Q' {
			list, exchange = append(list, exchange), nil
		}
	}
	return list
}

func types(exchange []testcluster.Message) string {
	var b strings.Builder
	for _, m := range exchange {
		b.WriteByte(m.Type)
	}
	return b.String()
}

// statement is the text that an exchange brings, and the name it is prepared as.
func statement(exchange []testcluster.Message) (text, prepared string) {
	for _, m := range exchange {
		switch m.Type {
		case 'P':
			return m.Strings[1], m.Strings[0]
		case 'Q':
			return m.Strings[0], ""
		}
	}
	return "", ""
}
