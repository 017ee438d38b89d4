package repositories

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// scene is two users and the addresses that they and others are after. Alice
// lives on another shard than her address, Bob on the same. Bob has a claim to
// the abandoned address, from a change that crashed; Alice was about to be deleted.
type scene struct {
	*bundle
	alice, bob  uuid.UUID
	aliceEmail  entities.Email
	bobEmail    entities.Email
	free        entities.Email // on Alice's shard
	abandoned   entities.Email // on no shard of theirs
	all         []entities.Email
	description string
}

func newScene(t testing.TB, b *bundle) *scene {
	t.Helper()
	shards := b.router.All()
	s := &scene{bundle: b, aliceEmail: b.emailOn(shards[1]), bobEmail: b.emailOn(shards[2]), free: b.emailOn(shards[0]), abandoned: b.emailOn(shards[3])}
	s.alice = b.mustCreate(t, b.emailOn(shards[0])).ID
	b.mustChange(t, s.alice, s.aliceEmail)
	s.bob = b.mustCreate(t, s.bobEmail).ID
	b.pauseAt(t, 2, func(ctx context.Context, users *ShardedUsers) error {
		_, err := users.Update(ctx, s.bob, entities.Changes{Email: &s.abandoned}, nil, time.Now())
		return err
	}).crash()
	b.pauseAt(t, 2, func(ctx context.Context, users *ShardedUsers) error { return users.Delete(ctx, s.alice, nil) }).crash()
	s.all = []entities.Email{s.aliceEmail, s.bobEmail, s.free, s.abandoned}
	return s
}

// deed is something done in a scene.
type deed struct {
	name string
	do   func(ctx context.Context, s *scene, users *ShardedUsers) error
}

func change(who func(*scene) uuid.UUID, to func(*scene) entities.Email) func(context.Context, *scene, *ShardedUsers) error {
	return func(ctx context.Context, s *scene, users *ShardedUsers) error {
		email := to(s)
		_, err := users.Update(ctx, who(s), entities.Changes{Email: &email}, nil, time.Now())
		return err
	}
}

func create(email func(*scene) entities.Email) func(context.Context, *scene, *ShardedUsers) error {
	return func(ctx context.Context, s *scene, users *ShardedUsers) error {
		id, err := users.NewID(email(s))
		if err != nil {
			return err
		}
		return users.Create(ctx, entities.User{ID: id, Name: "n", Email: email(s), CreatedAt: time.Now(), Version: 1})
	}
}

func remove(who func(*scene) uuid.UUID) func(context.Context, *scene, *ShardedUsers) error {
	return func(ctx context.Context, s *scene, users *ShardedUsers) error { return users.Delete(ctx, who(s), nil) }
}

var deeds = func() []deed {
	alice, bob := func(s *scene) uuid.UUID { return s.alice }, func(s *scene) uuid.UUID { return s.bob }
	hers, his := func(s *scene) entities.Email { return s.aliceEmail }, func(s *scene) entities.Email { return s.bobEmail }
	free, abandoned := func(s *scene) entities.Email { return s.free }, func(s *scene) entities.Email { return s.abandoned }
	return []deed{
		{"alice->free", change(alice, free)},
		{"alice->abandoned", change(alice, abandoned)},
		{"alice->hers", change(alice, hers)},
		{"alice->his", change(alice, his)},
		{"bob->free", change(bob, free)},
		{"bob->abandoned", change(bob, abandoned)},
		{"bob->hers", change(bob, hers)},
		{"bob->his", change(bob, his)},
		{"create free", create(free)},
		{"create abandoned", create(abandoned)},
		{"create hers", create(hers)},
		{"create his", create(his)},
		{"delete alice", remove(alice)},
		{"delete bob", remove(bob)},
		{"sweep", func(ctx context.Context, s *scene, users *ShardedUsers) error {
			w := *s.sweeper
			w.users = users
			var errs error
			for _, email := range s.all { // of this scene only: others run beside it
				if c := s.peek(ctx, email); c != nil && c.UnsettledAt != nil {
					errs = w.sweepClaim(ctx, w.users.router.For(email.Key()), *c)
				}
			}
			return errs
		}},
	}
}()

func (s *scene) peek(ctx context.Context, email entities.Email) *claimRow {
	var rows []claimRow
	if s.router.For(email.Key()).Primary.WithContext(ctx).Where("email_key = ?", email.Key()).Find(&rows).Error != nil || len(rows) == 0 {
		return nil
	}
	return &rows[0]
}

// steps counts those at which a deed can be stopped.
func (b *bundle) steps(t testing.TB, d deed) (n int) {
	t.Helper()
	s := newScene(t, b)
	users := NewShardedUsers(b.router, b.countTimeout)
	users.reached = func(context.Context, string) { n++ }
	s.wantKinds(t, d, d.do(t.Context(), s, users))
	return n
}

// wantKinds fails the test if a deed ends in another way than somebody's being
// faster explains.
func (s *scene) wantKinds(t testing.TB, d deed, err error) {
	t.Helper()
	if !kinds(err, entities.Conflict, entities.NotFound) {
		t.Errorf("%s: %s: %v", s.description, d.name, err)
	}
}

// check is what holds at any time; checkUsable what holds in the end: every
// address is somebody's or can be had.
func (s *scene) check(t testing.TB, when string) {
	t.Helper()
	s.checkOne(t, s.description+": "+when, s.all...)
}

func (s *scene) checkUsable(t testing.TB) {
	t.Helper()
	for _, email := range s.all {
		owned := len(s.holders(t, email)) == 1
		err := s.Create(t.Context(), s.newUser(t, email))
		if owned != (entities.KindOf(err) == entities.Conflict) || !owned && err != nil {
			t.Errorf("%s: %s, owned: %t, create says %v", s.description, email, owned, err)
		}
	}
	s.check(t, "at last")
}

// inParallel runs the scenes, some at a time.
func inParallel(t *testing.T, b *bundle, runs []func(s *scene)) {
	t.Helper()
	next := make(chan func(*scene))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for run := range next {
				run(newScene(t, b))
			}
		})
	}
	for _, run := range runs {
		if t.Failed() {
			break // one counter-example is enough
		}
		next <- run
	}
	close(next)
	wg.Wait()
}

// TestTwoWritesInterleaved stops every write at each of its steps, does every
// other meanwhile, and lets the first go on, or crash: in turn, or in a long test
// both of it.
func TestTwoWritesInterleaved(t *testing.T) {
	b := setup(t)
	var runs []func(*scene)
	for _, first := range deeds {
		for n := range b.steps(t, first) {
			n++
			for _, second := range deeds {
				crashes := []bool{len(runs)%2 == 0}
				if os.Getenv("TEST_LONG") != "" {
					crashes = []bool{false, true}
				}
				for _, crash := range crashes {
					runs = append(runs, func(s *scene) {
						a := s.pauseAt(t, n, func(ctx context.Context, users *ShardedUsers) error { return first.do(ctx, s, users) })
						s.description = fmt.Sprintf("%s to step %d (%s), %s, crash: %t", first.name, n, a.step, second.name, crash)
						s.check(t, "stopped")
						s.wantKinds(t, second, second.do(t.Context(), s, s.ShardedUsers))
						s.check(t, "second done")
						if crash {
							a.crash()
						} else {
							s.wantKinds(t, first, a.finish())
						}
						s.check(t, "first done")
						s.checkUsable(t)
					})
				}
			}
		}
	}
	inParallel(t, b, runs)
	b.mustSettle(t)
}

// TestThreeWritesInterleaved stops two writes, does a third, and lets the two go
// on in either order: as many of these as there is time for, drawn at random.
func TestThreeWritesInterleaved(t *testing.T) {
	b := setup(t)
	scenes := 200
	if os.Getenv("TEST_LONG") != "" {
		scenes = 5000
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	runs := make([]func(*scene), 0, scenes)
	for range scenes {
		first, second, third := deeds[random.IntN(len(deeds))], deeds[random.IntN(len(deeds))], deeds[random.IntN(len(deeds))]
		n, m, crash, order := 1+random.IntN(6), 1+random.IntN(6), random.IntN(3), random.IntN(2)
		runs = append(runs, func(s *scene) {
			one := s.pauseAt(t, n, func(ctx context.Context, users *ShardedUsers) error { return first.do(ctx, s, users) })
			two := s.pauseAt(t, m, func(ctx context.Context, users *ShardedUsers) error { return second.do(ctx, s, users) })
			s.description = fmt.Sprintf("%s to step %d (%s), %s to step %d (%s), %s, order %d, crash %d",
				first.name, n, one.step, second.name, m, two.step, third.name, order, crash)
			s.check(t, "both stopped")
			s.wantKinds(t, third, third.do(t.Context(), s, s.ShardedUsers))
			s.check(t, "third done")
			rest := []struct {
				*paused
				deed
			}{{one, first}, {two, second}}
			if order == 1 {
				rest[0], rest[1] = rest[1], rest[0]
			}
			for i, r := range rest {
				if crash == i+1 {
					r.crash()
				} else {
					s.wantKinds(t, r.deed, r.finish())
				}
				s.check(t, r.name+" done")
			}
			s.checkUsable(t)
		})
	}
	inParallel(t, b, runs)
	b.mustSettle(t)
}

// TestReleaseComesLate is the case that a release without a token fails: R1
// changes e1 to e2 and stops before it releases e1, R2 changes e2 back to e1,
// R1 goes on.
func TestReleaseComesLate(t *testing.T) {
	b := setup(t)
	s := newScene(t, b)
	r1 := b.pauseAt(t, 4, func(ctx context.Context, users *ShardedUsers) error {
		_, err := users.Update(ctx, s.alice, entities.Changes{Email: &s.free}, nil, time.Now())
		return err
	})
	if r1.step != "changed" {
		t.Fatalf("R1 stands at %q, want it between change and release", r1.step)
	}
	b.mustChange(t, s.alice, s.aliceEmail)
	s.check(t, "R2 done")
	if err := r1.finish(); err != nil {
		t.Fatal(err)
	}
	s.check(t, "R1 done")
	for _, email := range []entities.Email{s.aliceEmail, s.free} {
		err := b.Create(t.Context(), b.newUser(t, email))
		if taken := entities.KindOf(err) == entities.Conflict; taken != (email == s.aliceEmail) {
			t.Errorf("create %s: %v; Alice carries %s", email, err, s.aliceEmail)
		}
	}
	s.check(t, "afterwards")
}

// TestFenceMeetsTheChange has a fence wait for the very change that it is to
// prevent: the statement began before that, so it sees a user who is neither
// fenced nor carries the address.
func TestFenceMeetsTheChange(t *testing.T) {
	b := setup(t)
	for _, taker := range []deed{
		{"create", create(func(s *scene) entities.Email { return s.free })},
		{"change", change(func(s *scene) uuid.UUID { return s.bob }, func(s *scene) entities.Email { return s.free })},
	} {
		s := newScene(t, b)
		s.description = taker.name
		b.pauseAt(t, 2, func(ctx context.Context, users *ShardedUsers) error { // the claim is made
			_, err := users.Update(ctx, s.alice, entities.Changes{Email: &s.free}, nil, time.Now())
			return err
		}).crash()
		conn, other := testcluster.Primary(t, b.cfg, 0), testcluster.Primary(t, b.cfg, 0)
		testcluster.MustExec(t, conn, "BEGIN")
		testcluster.MustExec(t, conn, "UPDATE users SET email = $2, version = version + 1 WHERE id = $1", s.alice, string(s.free))
		done := make(chan error, 1)
		go func() { done <- taker.do(t.Context(), s, b.ShardedUsers) }()
		testcluster.Await(t, func() error {
			if testcluster.MustQuery[int](t, other, "SELECT count(*)::int FROM pg_locks WHERE NOT granted")[0] == 0 {
				return errors.New("nobody waits for the user's lock")
			}
			return nil
		})
		testcluster.MustExec(t, conn, "COMMIT")
		if err := <-done; entities.KindOf(err) != entities.Conflict {
			t.Errorf("%s: got %v, want the address taken", taker.name, err)
		}
		s.check(t, "at last")
	}
}

// TestSettleComesLate has the sweeper find a claim in order, and stop before it
// says so, while the user leaves the address and crashes before the release.
func TestSettleComesLate(t *testing.T) {
	b := setup(t)
	s := newScene(t, b)
	sweep := b.pauseAt(t, 2, func(ctx context.Context, users *ShardedUsers) error {
		w := &Sweeper{users: users}
		return w.sweepClaim(ctx, b.router.For(s.aliceEmail.Key()), *b.claimOf(t, s.aliceEmail))
	})
	change := b.pauseAt(t, 4, func(ctx context.Context, users *ShardedUsers) error {
		_, err := users.Update(ctx, s.alice, entities.Changes{Email: &s.free}, nil, time.Now())
		return err
	})
	if sweep.step != "judged" || change.step != "changed" {
		t.Fatalf("they stand at %q and %q, want judged and changed", sweep.step, change.step)
	}
	change.crash()
	if err := sweep.finish(); err != nil {
		t.Fatal(err)
	}
	b.mustSettle(t)
	s.checkUsable(t)
}

// TestCrashesLeaveNothing crashes each write at each of its steps: whatever
// stands, the sweeper finds, and nothing stale stays.
func TestCrashesLeaveNothing(t *testing.T) {
	b := setup(t)
	for _, d := range deeds {
		for n := range b.steps(t, d) {
			n++
			s := newScene(t, b)
			p := b.pauseAt(t, n, func(ctx context.Context, users *ShardedUsers) error { return d.do(ctx, s, users) })
			p.crash()
			s.description = fmt.Sprintf("%s, crash at step %d (%s)", d.name, n, p.step)
			s.check(t, "crashed")
			b.mustSettle(t)
			if t.Failed() {
				t.Fatal(s.description)
			}
			s.checkUsable(t)
		}
	}
}
