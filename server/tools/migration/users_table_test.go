package main

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/messenger-clone/messenger-clone-api/server/migrations"
)

// The rules of the users table hold for whatever writes to it.
func TestUsersTable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.mustUp(migrations.FS())
	insert := func(name, email string) (constraint string) {
		b.on(0, func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, "INSERT INTO users VALUES (gen_random_uuid(), $1, $2, now(), now())", name, email)
			var pg *pgconn.PgError
			if errors.As(err, &pg) {
				constraint = pg.ConstraintName
				return nil
			}
			return err
		})
		return constraint
	}

	require.Empty(t, insert("Ada", "ada@example.com"))
	require.Empty(t, insert(strings.Repeat("ä", 100), "a@b"))
	require.Equal(t, "users_name_length", insert("", "b@example.com"))
	require.Equal(t, "users_name_length", insert(strings.Repeat("ä", 101), "c@example.com"))
	require.Equal(t, "users_email_length", insert("Ada", strings.Repeat("a", 255)))

	indexes := b.ask(0, "SELECT string_agg(indexname, ' ' ORDER BY indexname) FROM pg_indexes WHERE tablename = 'users' AND schemaname = '"+b.set.Schema+"'")
	require.Equal(t, "users_pkey", indexes, "each index more costs every write: the list goes by the primary key, addresses are for their claims to keep apart")
}
