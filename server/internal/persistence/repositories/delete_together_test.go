package repositories

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
)

// TestDeletesGoTogether in one transaction, if they have to wait: each as if it
// were alone.
func TestDeletesGoTogether(t *testing.T) {
	b := setup(t)
	s := b.router.All()[0]
	const clients = 30
	users := make([]entities.User, clients)
	for i := range users {
		users[i] = b.mustCreate(t, b.emailOn(s))
	}
	locked, changed, moved, often := b.mustCreate(t, b.emailOn(s)), b.mustCreate(t, b.emailOn(s)), b.mustCreate(t, b.emailOn(s)), b.mustCreate(t, b.emailOn(s))
	b.mustChange(t, changed.ID, b.emailOn(s))
	away := b.emailOn(b.router.All()[1])
	b.mustChange(t, moved.ID, away)
	release := b.lockUser(t, locked.ID)
	stuck := make(chan error, 2)
	for range 2 { // one is on its way, and the other waits with the rest
		go func() { stuck <- b.Delete(t.Context(), locked.ID, nil) }()
	}
	b.awaitWaiting(t, s)

	before := b.nextTransaction(t, s)
	var wg sync.WaitGroup
	for i, u := range users {
		wg.Go(func() {
			match := entities.Versions{1}
			if i%2 == 0 {
				match = nil
			}
			if err := b.Delete(t.Context(), u.ID, match); err != nil {
				t.Errorf("number %d: %v", i, err)
			}
			if _, err := b.ByID(t.Context(), u.ID); entities.KindOf(err) != entities.NotFound {
				t.Errorf("number %d is read: %v", i, err)
			}
		})
	}
	wg.Go(func() {
		if err := b.Delete(t.Context(), changed.ID, entities.Versions{1}); entities.KindOf(err) != entities.PreconditionFailed {
			t.Errorf("who has changed since: got %v", err)
		}
	})
	wg.Go(func() {
		if err := b.Delete(t.Context(), moved.ID, nil); err != nil {
			t.Errorf("whose address is another shard's: got %v", err)
		}
	})
	wg.Go(func() {
		if err := b.Delete(t.Context(), b.newUser(t, b.emailOn(s)).ID, nil); entities.KindOf(err) != entities.NotFound {
			t.Errorf("who is not there: got %v", err)
		}
	})
	var deleted atomic.Int64
	for range 4 {
		wg.Go(func() {
			switch err := b.Delete(t.Context(), often.ID, nil); {
			case err == nil:
				deleted.Add(1)
			case entities.KindOf(err) != entities.NotFound:
				t.Errorf("one of many of a user: %v", err)
			}
		})
	}
	wg.Wait()
	if len(stuck) > 0 {
		t.Fatalf("nothing was stuck: %v", <-stuck)
	}
	if n := deleted.Load(); n != 1 {
		t.Errorf("a user was deleted %d times", n)
	}
	if n := b.nextTransaction(t, s) - before; n > clients/2 {
		t.Errorf("%d deletes that had to wait took %d transactions", clients, n)
	}
	for _, u := range users {
		b.checkGone(t, u.Email)
	}
	b.checkGone(t, away)
	b.checkGone(t, often.Email)
	release()
	if first, second := <-stuck, <-stuck; (first == nil) == (second == nil) {
		t.Errorf("of two who deleted one user, one got %v, the other %v", first, second)
	}
	b.checkAll(t, "at last")
}

// checkGone fails the test if a user or a claim has the address.
func (b *bundle) checkGone(t testing.TB, email entities.Email) {
	t.Helper()
	if ids := b.holders(t, email); len(ids) > 0 || b.claimOf(t, email) != nil {
		t.Errorf("%s is left behind", email)
	}
}

// nextTransaction is the number of the next that writes something.
func (b *bundle) nextTransaction(t testing.TB, s *shard.Shard) (n int64) {
	t.Helper()
	const next = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
	if err := s.Primary.WithContext(t.Context()).Raw(next).Row().Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
