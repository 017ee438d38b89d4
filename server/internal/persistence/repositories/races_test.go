package repositories

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// rounds is how often a race is run.
func rounds(usual, long int) int {
	if os.Getenv("TEST_LONG") != "" {
		return long
	}
	return usual
}

// race has all clients do something at one moment, and counts whom it succeeds.
// The others must be told that the address is taken.
func race(t testing.TB, clients int, do func(client int) error) (winners int) {
	t.Helper()
	var (
		wg    sync.WaitGroup
		count atomic.Int64
		start = make(chan struct{})
	)
	for i := range clients {
		wg.Go(func() {
			<-start
			switch err := do(i); {
			case err == nil:
				count.Add(1)
			case entities.KindOf(err) != entities.Conflict:
				t.Errorf("client %d: %v", i, err)
			}
		})
	}
	close(start)
	wg.Wait()
	return int(count.Load())
}

// TestRaceForAnAddress has 64 clients create a user with one address: one that
// is new, and one with a claim on it behind which nobody stands.
func TestRaceForAnAddress(t *testing.T) {
	b := setup(t)
	const clients = 64
	for round := range rounds(15, 1000) {
		shards := b.router.All()
		email := b.emailOn(shards[round%len(shards)])
		if round%3 == 0 {
			u := b.mustCreate(t, b.emailOn(shards[(round+1)%len(shards)]))
			b.pauseAt(t, 2, func(ctx context.Context, users *ShardedUsers) error {
				_, err := users.Update(ctx, u.ID, entities.Changes{Email: &email}, nil, time.Now())
				return err
			}).crash()
		}
		if winners := race(t, clients, func(int) error { return b.Create(t.Context(), b.newUser(t, email)) }); winners != 1 {
			t.Fatalf("round %d: %d of %d clients got the address, want 1", round, winners, clients)
		}
		b.checkOne(t, fmt.Sprintf("round %d", round), email)
	}
	b.checkAll(t, "at last")
}

// TestRaceOfChanges has users who live everywhere change to one address, while
// others create one with it.
func TestRaceOfChanges(t *testing.T) {
	b := setup(t)
	const clients = 16
	users := make([]entities.User, clients)
	for i := range users {
		users[i] = b.mustCreate(t, b.emailOn(b.router.All()[i%5]))
	}
	for round := range rounds(20, 500) {
		email := b.emailOn(b.router.All()[round%5])
		winners := race(t, clients, func(i int) error {
			if i%4 == 3 {
				return b.Create(t.Context(), b.newUser(t, email))
			}
			_, err := b.Update(t.Context(), users[i].ID, entities.Changes{Email: &email}, nil, time.Now())
			return err
		})
		if winners != 1 {
			t.Fatalf("round %d: %d of %d clients got the address, want 1", round, winners, clients)
		}
		b.checkOne(t, fmt.Sprintf("round %d", round), email)
	}
	b.mustSettle(t)
}

// TestSwaps has clients move a few users between a few addresses, delete and
// create them, some crashing on the way, while the sweeper sweeps.
func TestSwaps(t *testing.T) {
	b := setup(t)
	emails := make([]entities.Email, 8)
	for i := range emails {
		emails[i] = b.emailOn(b.router.All()[i%5])
	}
	var (
		mu  sync.Mutex
		ids []uuid.UUID
	)
	pick := func() uuid.UUID {
		mu.Lock()
		defer mu.Unlock()
		if len(ids) == 0 {
			return uuid.Must(uuid.NewV7())
		}
		return ids[rand.IntN(len(ids))]
	}
	deed := func(ctx context.Context, users *ShardedUsers) error {
		email := emails[rand.IntN(len(emails))]
		switch rand.IntN(10) {
		case 0, 1:
			u := b.newUser(t, email)
			if err := users.Create(ctx, u); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if ids = append(ids, u.ID); len(ids) > 12 {
				ids = ids[1:]
			}
			return nil
		case 2:
			return users.Delete(ctx, pick(), nil)
		case 3:
			_, err := b.sweeper.SweepOnce(ctx)
			return err
		default:
			_, err := users.Update(ctx, pick(), entities.Changes{Email: &email}, nil, time.Now())
			return err
		}
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range rounds(150, 4000) {
				if rand.IntN(5) == 0 {
					b.pauseAt(t, 1+rand.IntN(5), deed).crash()
					continue
				}
				if err := deed(t.Context(), b.ShardedUsers); !kinds(err, entities.Conflict, entities.NotFound, entities.Unavailable, entities.Contended) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b.checkAll(t, "after the swaps")
	b.mustSettle(t)
	for _, email := range emails {
		owned := len(b.holders(t, email)) == 1
		if err := b.Create(t.Context(), b.newUser(t, email)); owned != (entities.KindOf(err) == entities.Conflict) || !owned && err != nil {
			t.Errorf("%s, owned: %t, create says %v", email, owned, err)
		}
	}
}

// TestOneKeyManyClients has 64 clients, which are of several processes for all
// that the storage knows, send one request under one key.
func TestOneKeyManyClients(t *testing.T) {
	b := setup(t)
	const clients = 64
	for round := range rounds(10, 500) {
		email := b.emailOn(b.router.All()[round%5])
		once := entities.NewOnce(entities.IdempotencyKey(fmt.Sprint("key", round)), "n", email, time.Hour)
		var (
			answers [clients]entities.User
			first   atomic.Int64
		)
		winners := race(t, clients, func(i int) error {
			u, before, err := b.CreateOnce(t.Context(), b.newUser(t, email), once)
			answers[i] = u
			if err == nil && !before {
				first.Add(1)
			}
			return err
		})
		if winners != clients || first.Load() != 1 {
			t.Fatalf("round %d: %d of %d clients answered, %d as the first", round, winners, clients, first.Load())
		}
		for i, u := range answers {
			if u != answers[0] {
				t.Fatalf("round %d: client %d was answered %+v, client 0 %+v", round, i, u, answers[0])
			}
		}
		b.checkOne(t, fmt.Sprintf("round %d", round), email)
		if ids := b.holders(t, email); len(ids) != 1 || ids[0] != answers[0].ID {
			t.Fatalf("round %d: %s is carried by %v, want %s", round, email, ids, answers[0].ID)
		}
	}
}

// TestCrashBetweenRecordAndCreate loses a request after its record was written.
func TestCrashBetweenRecordAndCreate(t *testing.T) {
	b := setup(t)
	email := b.emailOn(b.router.All()[0])
	first := b.newUser(t, email)
	once := entities.NewOnce("key", first.Name, email, time.Hour)
	p := b.pauseAt(t, 1, func(ctx context.Context, users *ShardedUsers) error {
		_, _, err := users.CreateOnce(ctx, first, once)
		return err
	})
	if p.step != "recorded" {
		t.Fatalf("it stands at %q, want it recorded", p.step)
	}
	p.crash()
	if ids := b.holders(t, email); len(ids) != 0 {
		t.Fatalf("%s is carried by %v already", email, ids)
	}
	for i := range 3 {
		u, before, err := b.CreateOnce(t.Context(), b.newUser(t, email), once)
		if err != nil || u != first || before != (i > 0) {
			t.Errorf("repetition %d: got %+v, before: %t, %v; want %+v, %t", i, u, before, err, first, i > 0)
		}
	}
}

// TestCreateThatWakesLate has a create under a key stand still in the database
// while a repetition of it is done, and its user changed or deleted.
func TestCreateThatWakesLate(t *testing.T) {
	b := setup(t)
	for _, after := range []string{"done", "changed", "deleted"} {
		email := b.emailOn(b.router.All()[0])
		u := b.newUser(t, email)
		once := entities.NewOnce(entities.IdempotencyKey(after), u.Name, email, time.Hour)
		late := b.pauseAt(t, 1, func(ctx context.Context, users *ShardedUsers) error {
			got, before, err := users.CreateOnce(ctx, u, once)
			if err == nil && (got != u || !before) {
				err = fmt.Errorf("answered %+v, before: %t; want %+v, true", got, before, u)
			}
			return err
		})
		if _, _, err := b.CreateOnce(t.Context(), b.newUser(t, email), once); err != nil {
			t.Fatal(err)
		}
		want := 1
		switch after {
		case "changed":
			b.mustChange(t, u.ID, b.emailOn(b.router.All()[1]))
			want = 0
		case "deleted":
			if err := b.Delete(t.Context(), u.ID, nil); err != nil {
				t.Fatal(err)
			}
			want = 0
		}
		if err := late.finish(); err != nil {
			t.Errorf("%s: %v", after, err)
		}
		if ids := b.holders(t, email); len(ids) != want {
			t.Errorf("%s: the address is carried by %v, want %d", after, ids, want)
		}
	}
	if stale := b.checkAll(t, "at last"); stale != 0 {
		t.Errorf("%d stale claims are left", stale)
	}
}

// TestKeysExpire lets keys go out of date, under traffic, and sweeps them.
func TestKeysExpire(t *testing.T) {
	b := setup(t)
	key := func(i int) entities.IdempotencyKey { return entities.IdempotencyKey(fmt.Sprint("key", i)) }
	const keys = 40
	create := func(i int, ttl time.Duration) (entities.User, bool) {
		t.Helper()
		u := b.newUser(t, b.emailOn(b.router.All()[i%5]))
		got, before, err := b.CreateOnce(t.Context(), u, entities.NewOnce(key(i), u.Name, u.Email, ttl))
		if err != nil || got.ID != u.ID {
			t.Fatalf("key %d: got %+v, %v; want user %s", i, got, err, u.ID)
		}
		return got, before
	}
	for i := range keys {
		create(i, time.Microsecond)
		create(i, time.Hour) // another body under the key, which has expired
	}
	for i := range keys {
		create(keys+i, time.Microsecond)
	}
	swept, err := b.sweeper.SweepOnce(t.Context())
	if err != nil || swept.Keys != keys || swept.Notes != 0 {
		t.Errorf("swept %+v, %v; want %d keys and no note: notes outlive keys", swept, err, keys)
	}
	for i := range keys { // what has not expired still holds
		u := b.newUser(t, b.emailOn(b.router.All()[0]))
		if _, _, err := b.CreateOnce(t.Context(), u, entities.NewOnce(key(i), u.Name, u.Email, time.Hour)); entities.KindOf(err) != entities.KeyReused {
			t.Errorf("key %d: got %v, want it to be another request's", i, err)
		}
	}
	for i := range b.cfg.Shards {
		testcluster.MustExec(t, testcluster.Primary(t, b.cfg, i), "UPDATE idempotent_creates SET expires_at = now() WHERE key_hash NOT IN (SELECT key_hash FROM idempotency_keys)")
	}
	swept, err = b.sweeper.SweepOnce(t.Context())
	if err != nil || swept.Notes == 0 || swept.Keys != 0 {
		t.Errorf("swept %+v, %v; want the notes that are out of date", swept, err)
	}
}

// TestClaimsComeHome starts from what the migration finds: users whose address
// was changed before there were claims.
func TestClaimsComeHome(t *testing.T) {
	b := setup(t)
	shards := b.router.All()
	moved := b.emailOn(shards[1])
	u := b.mustCreate(t, b.emailOn(shards[0]))
	conn := testcluster.Primary(t, b.cfg, 0)
	testcluster.MustExec(t, conn, "UPDATE users SET email = $2 WHERE id = $1", u.ID, string(moved))
	testcluster.MustExec(t, conn, "UPDATE email_claims SET email_key = $2, unsettled_at = claimed_at WHERE user_id = $1", u.ID, moved.Key())
	b.mustSettle(t)
	if err := b.Create(t.Context(), b.newUser(t, moved)); entities.KindOf(err) != entities.Conflict {
		t.Errorf("create: %v; want the address taken", err)
	}
}
