package main

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/progress"
)

// TestVerify puts every kind of mistake on real shards and wants each found, and
// nothing found where there is none.
func TestVerify(t *testing.T) {
	cfg := testcluster.Open(t)
	v, err := connect(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer v.close()

	idOn := func(shard int) uuid.UUID {
		for {
			if id := uuid.Must(uuid.NewV7()); v.set.Owner(id.String()) == shard {
				return id
			}
		}
	}
	emailOn := func(shard int) string {
		for {
			if email := uuid.NewString() + "@example.com"; v.set.Owner(email) == shard {
				return email
			}
		}
	}
	user := func(shard int, id uuid.UUID, email, age string) {
		t.Helper()
		testcluster.MustExec(t, testcluster.Primary(t, cfg, shard), `INSERT INTO users (id, name, email, created_at, updated_at)
			VALUES ($1, 'n', $2, now() - $3::text::interval, now() - $3::text::interval)`, id, email, age)
	}
	claim := func(shard int, email string, id uuid.UUID, age string) {
		t.Helper()
		testcluster.MustExec(t, testcluster.Primary(t, cfg, shard), `INSERT INTO email_claims (email_key, user_id, token, claimed_at)
			VALUES ($1, $2, gen_random_uuid(), now() - $3::text::interval)`, email, id, age)
	}
	verify := func() *report {
		t.Helper()
		display := progress.New(os.Stderr)
		defer display.Stop()
		r, err := v.verify(t.Context(), display)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}

	for i := range cfg.Shards { // born here, and an address of another shard
		id, email := idOn(i), emailOn(i)
		user(i, id, email, "1 hour")
		claim(i, email, id, "1 hour")
		id, email = idOn(i), emailOn((i+1)%len(cfg.Shards))
		user(i, id, email, "1 hour")
		claim((i+1)%len(cfg.Shards), email, id, "1 hour")
	}
	if r := verify(); r.wrong() != 0 || r.shards[2].users != 2 || r.shards[2].claims != 2 {
		t.Fatalf("a healthy system: %+v", r.shards)
	}

	moved := idOn(0)
	user(1, moved, emailOn(1), "1 hour") // belongs on shard 0
	twice, hers := idOn(0), emailOn(0)
	user(0, twice, hers, "1 hour")
	claim(0, hers, twice, "1 hour")
	user(2, twice, emailOn(2), "1 hour") // also on shard 2
	unclaimed := idOn(3)
	user(3, unclaimed, emailOn(3), "1 hour")
	user(3, idOn(3), emailOn(3), "1 second") // its claim is on its way
	claim(4, emailOn(4), uuid.New(), "1 hour")
	claim(4, emailOn(4), uuid.New(), "1 second")
	marked := emailOn(4) // the sweeper will see to it
	claim(4, marked, uuid.New(), "1 hour")
	testcluster.MustExec(t, testcluster.Primary(t, cfg, 4), `UPDATE email_claims SET unsettled_at = claimed_at WHERE email_key = $1`, marked)

	r := verify()
	for _, want := range []struct {
		shard int
		kind  finding
		n     int
	}{{1, misplaced, 1}, {2, duplicated, 1}, {3, orphaned, 1}, {3, changing, 1}, {4, orphaned, 1}, {4, changing, 2}} {
		if got := r.shards[want.shard].found[want.kind]; got != want.n {
			t.Errorf("shard %d, finding %d: got %d, want %d", want.shard, want.kind, got, want.n)
		}
	}
	if r.wrong() != 4 {
		t.Errorf("got %d wrong, want 4: %+v", r.wrong(), r.shards)
	}
	var out bytes.Buffer
	r.print(&out)
	for _, want := range []string{moved.String() + " belongs on shard-0", twice.String() + " is also on its own shard, shard-0", unclaimed.String()} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report does not say %q:\n%s", want, out.String())
		}
	}
	if slices.Contains(strings.Fields(out.String()), "Everything") {
		t.Error("the report says that everything is right")
	}
}
