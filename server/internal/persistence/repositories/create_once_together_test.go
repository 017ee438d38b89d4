package repositories

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
)

// onceOn makes up what is asked for under a key that the shard owns.
func (b *bundle) onceOn(s *shard.Shard, u entities.User) entities.Once {
	for {
		key := entities.IdempotencyKey(fmt.Sprintf("key%d", b.serial.Add(1)))
		if once := entities.NewOnce(key, u.Name, u.Email, time.Hour); b.router.For(once.Key.String()) == s {
			return once
		}
	}
}

// TestCreatesOnceGoTogether in two transactions, one for what is asked for and one
// for the users, if they have to wait: each as if it were alone.
func TestCreatesOnceGoTogether(t *testing.T) {
	b := setup(t)
	keys, home := b.router.All()[0], b.router.All()[1]
	create := func(u entities.User, once entities.Once) (entities.User, bool, error) {
		return b.CreateOnce(t.Context(), u, once)
	}
	newUser := func() entities.User { return b.newUser(t, b.emailOn(home)) }
	taken, known := b.mustCreate(t, b.emailOn(home)), newUser()
	knownOnce := b.onceOn(keys, known)
	if _, _, err := create(known, knownOnce); err != nil {
		t.Fatal(err)
	}

	// One of each step is stuck, and the rest waits for it.
	locked, record := newUser(), newUser()
	stuck := make(chan error, 2)
	releaseClaim := b.lockClaim(t, locked.Email)
	go func() { stuck <- b.Create(t.Context(), locked) }()
	b.awaitWaiting(t, home)
	once := b.onceOn(keys, record)
	tx := keys.Primary.WithContext(t.Context()).Begin()
	const insert = "INSERT INTO idempotency_keys VALUES (decode(?, 'hex'), '', gen_random_uuid(), '', '', now(), now())"
	if err := errors.Join(tx.Error, tx.Exec(insert, once.Key.String()).Error); err != nil {
		t.Fatal(err)
	}
	releaseRecord := sync.OnceFunc(func() { tx.Rollback() })
	t.Cleanup(releaseRecord)
	go func() {
		_, _, err := create(record, once)
		stuck <- err
	}()
	b.awaitWaiting(t, keys)

	const clients = 20
	users := make([]entities.User, clients)
	var wg sync.WaitGroup
	for i := range users {
		users[i] = newUser()
		wg.Go(func() {
			got, before, err := create(users[i], b.onceOn(keys, users[i]))
			if err != nil || before || got != users[i] {
				t.Errorf("number %d became %+v, before %t, %v", i, got, before, err)
			}
		})
	}
	twice := newUser()
	twiceOnce := b.onceOn(keys, twice)
	var (
		firsts atomic.Int64
		ids    sync.Map
	)
	for range 4 { // each with an id of its own
		again := twice
		again.ID = b.newUser(t, twice.Email).ID
		wg.Go(func() {
			got, before, err := create(again, twiceOnce)
			if err != nil {
				t.Errorf("one of several under a key: %v", err)
			}
			if !before {
				firsts.Add(1)
			}
			ids.Store(got.ID, true)
		})
	}
	wg.Go(func() {
		again := known
		again.ID = b.newUser(t, known.Email).ID
		if got, before, err := create(again, knownOnce); err != nil || !before || got.ID != known.ID {
			t.Errorf("what was done is %+v, before %t, %v", got, before, err)
		}
	})
	wg.Go(func() {
		other := entities.Once{Key: knownOnce.Key, TTL: time.Hour}
		if _, _, err := create(newUser(), other); entities.KindOf(err) != entities.KeyReused {
			t.Errorf("a key for something else: got %v", err)
		}
	})
	wg.Go(func() {
		u := b.newUser(t, taken.Email)
		if _, _, err := create(u, b.onceOn(keys, u)); entities.KindOf(err) != entities.Conflict {
			t.Errorf("an address that is taken is given away: %v", err)
		}
	})
	wg.Wait()
	if len(stuck) > 0 {
		t.Fatalf("nothing was stuck: %v", <-stuck)
	}
	ids.Range(func(any, any) bool { firsts.Add(10); return true })
	if n := firsts.Load(); n != 11 {
		t.Errorf("several creates under a key were first %d times, with %d users; want one", n%10, n/10)
	}
	if n := b.transactionsOf(t, home, "users WHERE id", idsOf(users)); n > clients/2 {
		t.Errorf("%d creates that had to wait took %d transactions", clients, n)
	}
	if n := b.transactionsOf(t, keys, "idempotency_keys WHERE user_id", idsOf(users)); n > clients/2 {
		t.Errorf("%d records that had to wait took %d transactions", clients, n)
	}
	if n := b.transactionsOf(t, home, "idempotent_creates WHERE user_id", idsOf(users)); n == 0 || n > clients/2 {
		t.Errorf("%d notes that had to wait took %d transactions", clients, n)
	}
	releaseClaim()
	releaseRecord()
	if err := errors.Join(<-stuck, <-stuck); err != nil {
		t.Errorf("who was stuck: %v", err)
	}
	b.checkAll(t, "at last")
}

// TestCreatesOfOneUserTogether are those of one record: one of them does it, once, even
// if the user is deleted then.
func TestCreatesOfOneUserTogether(t *testing.T) {
	b := setup(t)
	s := b.router.All()[3]
	u := creation{b.newUser(t, b.emailOn(s)), &note{entities.Hash{1}, time.Now().Add(time.Hour)}}
	for attempt, want := range []int{1, 0} {
		done := 0
		err := s.ReadPrimary(t.Context(), func(db *gorm.DB) error {
			did, err := insertUsers(db, time.Now().Add(time.Minute), []creation{u, {User: b.newUser(t, b.emailOn(s))}, u})
			for i, one := range did {
				if one != nil && i != 1 {
					done++
				}
			}
			if err == nil && did[1] == nil {
				t.Error("another one was not created")
			}
			return err
		})
		if err != nil || done != want {
			t.Errorf("attempt %d did it %d times, %v; want %d", attempt+1, done, err, want)
		}
		if err := b.Delete(t.Context(), u.ID, nil); (err == nil) != (want == 1) {
			t.Errorf("after attempt %d the user was deleted: %v", attempt+1, err)
		}
	}
	b.checkAll(t, "at last")
}
