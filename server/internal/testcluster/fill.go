package testcluster

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
)

// Fill writes users into the primaries, past the server but as it would have
// created them: beside their claims, on the shard that owner says a key belongs
// to, in the order of their ids. It returns the ids, newest first. The tables
// are emptied when the test ends: to delete so many is for nobody else to wait for.
func Fill(t testing.TB, cfg config.Config, owner func(key string) string, total int) []uuid.UUID {
	t.Helper()
	ids := make([]uuid.UUID, 0, total)
	users, claims := map[string][][]any{}, map[string][][]any{}
	for i := range total {
		email := fmt.Sprintf("filled%d@example.com", i)
		shard := owner(email)
		id := uuid.Must(uuid.NewV7())
		for owner(id.String()) != shard {
			id = uuid.Must(uuid.NewV7())
		}
		ids = append(ids, id)
		created := entities.CreatedAt(id)
		users[shard] = append(users[shard], []any{id, fmt.Sprintf("User %d", i), email, created, created})
		claims[shard] = append(claims[shard], []any{email, id, uuid.New(), created})
	}
	for i, s := range cfg.Shards {
		conn := Primary(t, cfg, i)
		t.Cleanup(func() {
			if _, err := conn.Exec(context.WithoutCancel(t.Context()), "TRUNCATE users, email_claims"); err != nil {
				t.Error(err)
			}
		})
		err := pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
			_, err := tx.CopyFrom(t.Context(), pgx.Identifier{"users"}, []string{"id", "name", "email", "created_at", "updated_at"}, pgx.CopyFromRows(users[s.Name]))
			if err != nil {
				return err
			}
			_, err = tx.CopyFrom(t.Context(), pgx.Identifier{"email_claims"}, []string{"email_key", "user_id", "token", "claimed_at"}, pgx.CopyFromRows(claims[s.Name]))
			return err
		})
		if err != nil {
			t.Fatalf("fill %s: %v", s.Name, err)
		}
		MustExec(t, conn, "VACUUM ANALYZE users, email_claims") // as autovacuum does in time
	}
	slices.Reverse(ids)
	return ids
}
