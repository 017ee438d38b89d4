package repositories

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// lockClaim has somebody else be about to claim the address, until release is called.
func (b *bundle) lockClaim(t testing.TB, email entities.Email) (release func()) {
	t.Helper()
	tx := b.router.For(email.Key()).Primary.WithContext(t.Context()).Begin()
	const claim = "INSERT INTO email_claims (email_key, user_id, token, claimed_at) VALUES (?, gen_random_uuid(), gen_random_uuid(), now())"
	if err := errors.Join(tx.Error, tx.Exec(claim, email.Key()).Error); err != nil {
		t.Fatal(err)
	}
	release = sync.OnceFunc(func() { tx.Rollback() })
	t.Cleanup(release)
	return release
}

// TestCreatesGoTogether in one transaction, if they have to wait.
func TestCreatesGoTogether(t *testing.T) {
	b := setup(t)
	s := b.router.All()[0]
	locked := b.emailOn(s)
	release := b.lockClaim(t, locked)
	stuck := make(chan error, 1)
	go func() { stuck <- b.Create(t.Context(), b.newUser(t, locked)) }()
	b.awaitWaiting(t, s)

	taken := b.emailOn(s)
	b.mustCreateBeside(t, taken)
	const clients = 20
	same := b.emailOn(s) // two of them want one address
	users := make([]entities.User, 0, clients)
	for range clients - 2 {
		users = append(users, b.newUser(t, b.emailOn(s)))
	}
	users = append(users, b.newUser(t, same), b.newUser(t, same), b.newUser(t, taken))
	errs := make([]error, len(users))
	var wg sync.WaitGroup
	for i, u := range users {
		wg.Go(func() { errs[i] = b.Create(t.Context(), u) })
	}
	wg.Wait()
	select {
	case err := <-stuck:
		t.Fatalf("nothing was stuck: %v", err)
	default:
	}
	for i, err := range errs[:clients-2] {
		if err != nil {
			t.Errorf("%s: %v", users[i].Email, err)
		}
	}
	if first, second := errs[clients-2], errs[clients-1]; (first == nil) == (second == nil) || entities.KindOf(errors.Join(first, second)) != entities.Conflict {
		t.Errorf("of two who want one address, one got %v, the other %v", first, second)
	}
	if got := errs[clients]; entities.KindOf(got) != entities.Conflict {
		t.Errorf("an address that is taken is given away: %v", got)
	}
	if n := b.transactionsOf(t, s, "users WHERE id", idsOf(users[:clients-2])); n > clients/2 {
		t.Errorf("%d creates that had to wait took %d transactions", clients-2, n)
	}
	release()
	if err := <-stuck; err != nil {
		t.Errorf("who was stuck: %v", err)
	}
	b.checkAll(t, "at last")
}

// awaitWaiting waits until somebody waits for a lock on the shard.
func (b *bundle) awaitWaiting(t testing.TB, s *shard.Shard) {
	t.Helper()
	testcluster.Await(t, func() error {
		var n int64
		err := s.Primary.WithContext(t.Context()).Raw("SELECT count(*) FROM pg_locks WHERE NOT granted").Row().Scan(&n)
		if err == nil && n == 0 {
			err = errors.New("nobody waits for the lock")
		}
		return err
	})
}

// mustCreateBeside creates a user past the repository's queue.
func (b *bundle) mustCreateBeside(t testing.TB, email entities.Email) {
	t.Helper()
	if _, err := b.create(t.Context(), b.router.For(email.Key()), creation{User: b.newUser(t, email)}); err != nil {
		t.Fatal(err)
	}
}

// transactionsOf counts those that wrote the rows of these users.
func (b *bundle) transactionsOf(t testing.TB, s *shard.Shard, rowsOf string, ids []uuid.UUID) (n int64) {
	t.Helper()
	if err := s.Primary.WithContext(t.Context()).Raw("SELECT count(DISTINCT xmin::text) FROM "+rowsOf+" IN ?", ids).Row().Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func idsOf(users []entities.User) []uuid.UUID {
	ids := make([]uuid.UUID, len(users))
	for i, u := range users {
		ids[i] = u.ID
	}
	return ids
}

// TestLockedClaimHoldsNobodyElse up, though it is wanted by two: one is on its
// way, and the other waits with the rest.
func TestLockedClaimHoldsNobodyElse(t *testing.T) {
	b := setup(t)
	s := b.router.All()[1]
	locked := b.emailOn(s)
	release := b.lockClaim(t, locked)
	stuck := make(chan error, 2)
	var wg sync.WaitGroup
	for i := range 16 {
		if i < 2 {
			go func() { stuck <- b.Create(t.Context(), b.newUser(t, locked)) }()
			continue
		}
		wg.Go(func() {
			if err := b.Create(t.Context(), b.newUser(t, b.emailOn(s))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(stuck) != 0 {
		t.Fatalf("nobody was held up: %v", <-stuck)
	}
	release()
	if first, second := <-stuck, <-stuck; (first == nil) == (second == nil) {
		t.Errorf("of two who waited for one address, one got %v, the other %v", first, second)
	}
	b.checkOne(t, "at last", locked)
}

// TestCreatesTogetherComeInTime or not at all.
func TestCreatesTogetherComeInTime(t *testing.T) {
	b := setup(t)
	s := b.router.All()[2]
	users := []creation{{User: b.newUser(t, b.emailOn(s))}, {User: b.newUser(t, b.emailOn(s))}}
	late := time.Now().Add(-time.Second)
	err := s.ReadPrimary(t.Context(), func(db *gorm.DB) error {
		_, err := insertUsers(db, late, users)
		return err
	})
	if !errors.Is(err, shard.ErrTooLate) {
		t.Errorf("got %v", err)
	}
	for _, u := range users {
		b.checkGone(t, u.Email)
	}
}

// lockUser has somebody else be about to change the user, until release is called.
func (b *bundle) lockUser(t testing.TB, id uuid.UUID) (release func()) {
	t.Helper()
	tx := b.router.For(id.String()).Primary.WithContext(t.Context()).Begin()
	if err := errors.Join(tx.Error, tx.Exec("SELECT FROM users WHERE id = ? FOR UPDATE", id).Error); err != nil {
		t.Fatal(err)
	}
	release = sync.OnceFunc(func() { tx.Rollback() })
	t.Cleanup(release)
	return release
}

// TestUpdatesGoTogether in one transaction, if they have to wait: each as if it
// were alone.
func TestUpdatesGoTogether(t *testing.T) {
	b := setup(t)
	s := b.router.All()[0]
	change := func(id uuid.UUID, c entities.Changes, match entities.Versions) (entities.User, error) {
		return b.Update(t.Context(), id, c, match, time.Now().UTC().Truncate(time.Microsecond))
	}
	rename := func(id uuid.UUID, to entities.Name, match entities.Versions) (entities.User, error) {
		return change(id, entities.Changes{Name: &to}, match)
	}
	const clients = 20
	users := make([]entities.User, 0, clients)
	for range clients {
		users = append(users, b.mustCreate(t, b.emailOn(s)))
	}
	locked, often := b.mustCreate(t, b.emailOn(s)), b.mustCreate(t, b.emailOn(s))
	changed, moving, staying := b.mustCreate(t, b.emailOn(s)), b.mustCreate(t, b.emailOn(s)), b.mustCreate(t, b.emailOn(s))
	if _, err := rename(changed.ID, "before", nil); err != nil {
		t.Fatal(err)
	}
	release := b.lockUser(t, locked.ID)
	stuck := make(chan error, 2)
	for range 2 { // one is on its way, and the other waits with the rest
		go func() {
			_, err := rename(locked.ID, "stuck", nil)
			stuck <- err
		}()
	}
	b.awaitWaiting(t, s)

	var wg sync.WaitGroup
	for i, u := range users {
		wg.Go(func() {
			match := entities.Versions{1}
			if i%2 == 0 {
				match = nil
			}
			name, email := entities.Name(fmt.Sprintf("user %d", i)), u.Email
			c := entities.Changes{Name: &name}
			switch i % 5 {
			case 0: // the address as it is
				c.Email = &email
			case 1: // its spelling
				email = entities.Email(strings.ToUpper(string(email)))
				c.Email = &email
			case 2: // nothing else than that
				email = entities.Email(strings.ToUpper(string(email)))
				c, name = entities.Changes{Email: &email}, u.Name
			}
			got, err := change(u.ID, c, match)
			if err != nil || got.ID != u.ID || got.Name != name || got.Email != email || got.Version != 2 || !got.UpdatedAt.After(u.UpdatedAt) {
				t.Errorf("number %d became %+v, %v", i, got, err)
			}
			if read, err := b.ByID(t.Context(), u.ID); err != nil || read != got {
				t.Errorf("number %d is read as %+v, %v; want %+v", i, read, err, got)
			}
		})
	}
	versions := make([]entities.Version, 5)
	for i := range versions {
		wg.Go(func() {
			got, err := rename(often.ID, entities.Name(fmt.Sprint(i)), nil)
			if err != nil || got.Name != entities.Name(fmt.Sprint(i)) {
				t.Errorf("one of many of a user became %+v, %v", got, err)
			}
			versions[i] = got.Version
		})
	}
	wg.Go(func() {
		to := b.emailOn(b.router.All()[1])
		if got, err := change(moving.ID, entities.Changes{Email: &to}, nil); err != nil || got.Email != to || got.Name != moving.Name || got.Version != 2 {
			t.Errorf("who moves to %s became %+v, %v", to, got, err)
		}
	})
	wg.Go(func() {
		if _, err := change(staying.ID, entities.Changes{Email: &changed.Email}, nil); entities.KindOf(err) != entities.Conflict {
			t.Errorf("an address that is taken is given away: %v", err)
		}
	})
	wg.Go(func() {
		if _, err := rename(changed.ID, "after", entities.Versions{1}); entities.KindOf(err) != entities.PreconditionFailed {
			t.Errorf("who has changed since: got %v", err)
		}
	})
	wg.Go(func() {
		if _, err := rename(b.newUser(t, b.emailOn(s)).ID, "nobody", nil); entities.KindOf(err) != entities.NotFound {
			t.Errorf("who is not there: got %v", err)
		}
	})
	wg.Wait()
	if len(stuck) > 0 {
		t.Fatalf("nothing was stuck: %v", <-stuck)
	}
	slices.Sort(versions)
	if !slices.Equal(versions, []entities.Version{2, 3, 4, 5, 6}) {
		t.Errorf("five changes of one user made the versions %v", versions)
	}
	if n := b.transactionsOf(t, s, "users WHERE id", idsOf(users)); n > clients/2 {
		t.Errorf("%d changes that had to wait took %d transactions", clients, n)
	}
	release()
	if err := errors.Join(<-stuck, <-stuck); err != nil {
		t.Errorf("who was stuck: %v", err)
	}
	if got, err := b.ByID(t.Context(), locked.ID); err != nil || got.Name != "stuck" || got.Version != 3 {
		t.Errorf("who was stuck is %+v, %v", got, err)
	}
	b.checkAll(t, "at last")
}

// TestUpdatesTogetherComeInTime or not at all.
func TestUpdatesTogetherComeInTime(t *testing.T) {
	b := setup(t)
	s := b.router.All()[1]
	one, two := b.mustCreate(t, b.emailOn(s)), b.mustCreate(t, b.emailOn(s))
	late := entities.Name("late")
	wanted := []update{
		{id: one.ID, Changes: entities.Changes{Name: &late}, now: time.Now()},
		{id: two.ID, Changes: entities.Changes{Name: &late, Email: &two.Email}, now: time.Now()},
	}
	for _, test := range []struct {
		deadline time.Time
		done     bool
	}{{time.Now().Add(-time.Second), false}, {time.Now().Add(time.Minute), true}} {
		err := s.ReadPrimary(t.Context(), func(db *gorm.DB) error {
			did, err := updateTogether(db, test.deadline, wanted)
			for i, row := range did {
				if (row != nil) != test.done {
					t.Errorf("until %s: number %d became %v", test.deadline, i, row)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := b.ByID(t.Context(), one.ID); err != nil || (got.Version == 2) != test.done {
			t.Errorf("until %s: got %+v, %v", test.deadline, got, err)
		}
	}
}

// TestLookupsGoTogether finds those who are there, each their own.
func TestLookupsGoTogether(t *testing.T) {
	b := setup(t)
	s := b.router.All()[3]
	here, gone := b.mustCreate(t, b.emailOn(s)), b.newUser(t, b.emailOn(s))
	other := b.mustCreate(t, b.emailOn(s))
	err := s.ReadPrimary(t.Context(), func(db *gorm.DB) error {
		users, err := usersByID(db, []uuid.UUID{here.ID, gone.ID, other.ID, here.ID})
		if len(users) != 2 || userFromRow(users[here.ID]) != here || userFromRow(users[other.ID]) != other {
			t.Errorf("got %v", users)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for range 20 {
				if got, err := b.ByID(ctx, here.ID); err != nil || got != here {
					t.Errorf("got %v, %v", got, err)
				}
				if _, err := b.ByID(ctx, gone.ID); entities.KindOf(err) != entities.NotFound {
					t.Errorf("who is not there: %v", err)
				}
			}
		})
	}
	wg.Wait()
}

// TestListsAreShared by those who wait for the same one; those who wait for
// others go together with them.
func TestListsAreShared(t *testing.T) {
	b := setup(t)
	s := b.router.All()[4]
	var asked atomic.Int64
	wait := func(db *gorm.DB) error {
		asked.Add(1)
		return db.Exec("SELECT pg_sleep(0.3)").Error
	}
	const readers, kinds = 20, 3
	lists := shard.NewLists(s, func(db *gorm.DB, n int) (int, error) { return n, wait(db) }, func(db *gorm.DB, all []int) (map[int]int, error) {
		found := make(map[int]int)
		for _, n := range all {
			if _, twice := found[n]; twice {
				t.Errorf("asked for %v at once", all)
			}
			found[n] = n
		}
		return found, wait(db)
	}, func(int) int { return 1 })
	var wg sync.WaitGroup
	for i := range kinds * readers {
		wg.Go(func() {
			if got, _, err := lists.Get(t.Context(), entities.Moment{}, i%kinds); err != nil || got != i%kinds {
				t.Errorf("asked for %d: got %d, %v", i%kinds, got, err)
			}
		})
	}
	wg.Wait()
	// The first with those who came at once, perhaps all; the others when it is answered or takes long.
	if n := asked.Load(); n > readers {
		t.Errorf("%d readers of %d lists asked %d times", kinds*readers, kinds, n)
	}
}
