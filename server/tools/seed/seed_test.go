package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// seed stores the first n users in small chunks, and returns what it said.
func seed(ctx context.Context, t *testing.T, cfg config.Config, number int64, n int) (said string, err error) {
	t.Helper()
	s, err := open(ctx, cfg, number, n)
	if err != nil {
		return "", err
	}
	defer s.close()
	s.gen.chunkSize = 500
	out, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	runErr := s.run(ctx, out)
	text, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(text), runErr
}

// wantUsers checks that the shards hold the first n users of a seed, with their claims, and others besides.
func wantUsers(t *testing.T, cfg config.Config, number int64, n, others int) {
	t.Helper()
	g := fiveShards(t, uint64(number))
	g.chunkSize = 500
	want := map[string]int{} // row, shard
	for chunk := range (n + 499) / 500 {
		g.chunk(chunk, min(500, n-500*chunk), func(_, shard int, p person) {
			want[fmt.Sprintf("%s %s %s %d %s", p.id, p.name, p.email, p.born.UnixMicro(), p.token)] = shard
		})
	}
	found := 0
	for i := range cfg.Shards {
		for _, row := range testcluster.MustQuery[string](t, testcluster.Primary(t, cfg, i),
			`SELECT concat_ws(' ', u.id, u.name, u.email, (extract(epoch FROM u.created_at) * 1000000)::bigint, c.token)
			   FROM users u LEFT JOIN email_claims c ON c.email_key = u.email_key AND c.user_id = u.id AND c.claimed_at = u.created_at
			  WHERE u.updated_at = u.created_at`) {
			shard, ok := want[row]
			if ok && shard != i {
				t.Errorf("%s is on shard %d, want %d", row, i, shard)
			}
			if !ok {
				others--
			}
			delete(want, row)
			found++
		}
	}
	if len(want) != 0 || others != 0 {
		t.Errorf("found %d users, %d are missing, %d are there that were not expected", found, len(want), -others)
	}
}

func TestSeed(t *testing.T) {
	cfg := testcluster.Open(t)
	if _, err := seed(t.Context(), t, cfg, 1, 2200); err != nil { // the last chunk is not full
		t.Fatal(err)
	}
	wantUsers(t, cfg, 1, 2200, 0)

	said, err := seed(t.Context(), t, cfg, 1, 2200)
	if err != nil || !strings.Contains(said, "nothing to do") {
		t.Errorf("again: %q, %v; want nothing to do", said, err)
	}
	if said, err := seed(t.Context(), t, cfg, 1, 3100); err != nil || !strings.Contains(said, "900 users added") {
		t.Errorf("more: %q, %v", said, err)
	}
	wantUsers(t, cfg, 1, 3100, 0)
	if said, err := seed(t.Context(), t, cfg, 2, 700); err != nil || !strings.Contains(said, "700 users added") {
		t.Errorf("another seed: %q, %v", said, err)
	}
	wantUsers(t, cfg, 1, 3100, 700)
}

// TestSeedGoesOn: it is stopped when some shards have some chunks, again and again.
func TestSeedGoesOn(t *testing.T) {
	cfg := testcluster.Open(t)
	const users = 30_000
	watch := testcluster.Primary(t, cfg, 0)
	for stopAt := 5; stopAt <= 45; stopAt += 20 {
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := seed(ctx, t, cfg, 1, users)
			ended <- err
		}()
		testcluster.Await(t, func() error {
			if got := testcluster.MustQuery[int](t, watch, "SELECT count(*)::int FROM seed_chunks")[0]; got < stopAt {
				return fmt.Errorf("%d chunks, want %d", got, stopAt)
			}
			return nil
		})
		stop()
		if err := <-ended; err == nil {
			t.Fatalf("all %d users were there before it was stopped at %d chunks", users, stopAt)
		}
	}
	if _, err := seed(t.Context(), t, cfg, 1, users); err != nil {
		t.Fatal(err)
	}
	wantUsers(t, cfg, 1, users, 0)
}

// TestSeedBesideUsers: who has an address keeps it, and all others are stored.
func TestSeedBesideUsers(t *testing.T) {
	cfg := testcluster.Open(t)
	first := draw(fiveShards(t, 1), 0, 1)[0]
	g := fiveShards(t, 1)
	home := g.owner(first.email)
	id := uuid.Must(uuid.NewV7())
	for g.owner(id.String()) != home {
		id = uuid.Must(uuid.NewV7())
	}
	primary := testcluster.Primary(t, cfg, home)
	testcluster.MustExec(t, primary, `INSERT INTO email_claims (email_key, user_id, token, claimed_at) VALUES (lower($1), $2, gen_random_uuid(), now())`, first.email, id)
	testcluster.MustExec(t, primary, `INSERT INTO users (id, name, email, created_at, updated_at) VALUES ($1, 'Own', upper($2), now(), now())`, id, first.email)

	said, err := seed(t.Context(), t, cfg, 1, 1000)
	if err != nil || !strings.Contains(said, "999 users added") || !strings.Contains(said, "1 users left out") {
		t.Errorf("got %q, %v", said, err)
	}
	if got := testcluster.MustQuery[string](t, primary, `SELECT name FROM users JOIN email_claims c USING (email_key) WHERE c.user_id = id AND email_key = $1`, first.email); len(got) != 1 || got[0] != "Own" {
		t.Errorf("the address is %q's, want Own's", got)
	}
	total := 0
	for i := range cfg.Shards {
		total += testcluster.MustQuery[int](t, testcluster.Primary(t, cfg, i), "SELECT count(*)::int FROM users JOIN email_claims c USING (email_key) WHERE c.user_id = id")[0]
	}
	if total != 1000 {
		t.Errorf("%d users have their claims, want 1000", total)
	}
}

func TestSeedRefuses(t *testing.T) {
	cfg := testcluster.Open(t)
	s, err := open(t.Context(), cfg, 1, 10)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open(t.Context(), cfg, 2, 10); err == nil || !strings.Contains(err.Error(), "another seed") {
		t.Errorf("beside another: got %v, want a refusal", err)
	}
	s.close()

	swapped := cfg
	swapped.Shards = append([]config.Shard(nil), cfg.Shards...)
	swapped.Shards[1].Primary, swapped.Shards[2].Primary = cfg.Shards[2].Primary, cfg.Shards[1].Primary
	swapped.Shards[1].Database, swapped.Shards[2].Database = cfg.Shards[2].Database, cfg.Shards[1].Database
	if _, err := open(t.Context(), swapped, 1, 10); err == nil || !strings.Contains(err.Error(), "swapped") {
		t.Errorf("swapped shards: got %v, want a refusal", err)
	}
}
