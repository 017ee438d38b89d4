package repositories

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// TestMergeNewestFirst compares the merge of random shards, of each of which a
// little is known at first, with what sorting all their rows gives.
func TestMergeNewestFirst(t *testing.T) {
	t.Parallel()
	byID := func(a, b userRow) int { return newestFirst(&a, &b) }
	for range 500 {
		shards := make([][]userRow, rand.IntN(6))
		var all []userRow
		for i := range shards {
			for range rand.IntN(30) {
				shards[i] = append(shards[i], userRow{ID: uuid.New()})
			}
			slices.SortFunc(shards[i], byID)
			all = append(all, shards[i]...)
		}
		slices.SortFunc(all, byID)
		skip, take := rand.IntN(40), rand.IntN(40)
		want := all[min(skip, len(all)):min(skip+take, len(all))]

		parts, which := make([]part, len(shards)), make([]int, 0, len(shards))
		for i := range parts {
			which = append(which, i)
		}
		var got []userRow
		for lacks := skip + take; len(which) > 0; {
			for _, i := range which {
				if parts[i].whole {
					t.Fatal("asked for more of what is whole")
				}
				known, n := len(parts[i].users), 1+rand.IntN(max(1, lacks))
				more := shards[i][known:min(known+n, len(shards[i]))]
				parts[i] = part{slices.Concat(parts[i].users, more), len(more) < n}
			}
			got, which, lacks = mergeNewestFirst(parts, skip, take)
			if len(which) > 0 && (lacks <= 0 || len(got) > max(0, take-lacks)) {
				t.Fatalf("skip %d, take %d: %d rows and %d lacking", skip, take, len(got), lacks)
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("skip %d, take %d of %d rows: got %d rows, want %d, or they differ", skip, take, len(all), len(got), len(want))
		}
	}
}

// TestPortion asks for little more than a share, and never for more than is wanted.
func TestPortion(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ n, shards, want int }{
		{21, 5, 11}, {101, 5, 34}, {10_021, 5, 2139}, {2, 5, 3}, {1, 5, 1}, {21, 1, 21}, {21, 2, 21},
	} {
		if got := portionOf(test.n, test.shards); got != min(test.want, test.n) {
			t.Errorf("%d of %d shards: got %d, want %d", test.n, test.shards, got, test.want)
		}
	}
}

// TestUnevenPages reads a list whose newest users are all one shard's: it has to
// be asked again, and others, who have none of them, are not.
func TestUnevenPages(t *testing.T) {
	b := setup(t)
	shards := b.router.All()
	var want []uuid.UUID
	for i := range 90 {
		s := shards[3]
		if i < 20 {
			s = shards[i%len(shards)]
		}
		want = append(want, b.mustCreate(t, b.emailOn(s)).ID)
	}
	slices.Reverse(want)
	for _, limit := range []int{1, 7, 20, 80, 89, 90, 100} {
		p, err := entities.NewPage(limit, 0)
		var got []uuid.UUID
		for err == nil {
			var list entities.List
			if list, err = b.ListAcross(t.Context(), p); err != nil || len(list.Users) > limit {
				break
			}
			for _, u := range list.Users {
				got = append(got, u.ID)
			}
			if list.Next == nil {
				break
			}
			p, err = entities.NewPageAfter(limit, *list.Next)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("by %d: got %d users, want %d, or they differ; %v", limit, len(got), len(want), err)
		}
	}
	for _, offset := range []int{0, 5, 69, 70, 88, 89, 90} {
		p, err := entities.NewPage(10, offset)
		if err != nil {
			t.Fatal(err)
		}
		list, err := b.ListAcross(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		for i, u := range list.Users {
			if u.ID != want[offset+i] {
				t.Errorf("offset %d: number %d is %s, want %s", offset, i, u.ID, want[offset+i])
			}
		}
		if n := min(10, len(want)-offset); len(list.Users) != n || (list.Next == nil) != (offset+10 >= len(want)) {
			t.Errorf("offset %d: got %d users, want %d; next is %v", offset, len(list.Users), n, list.Next)
		}
	}
}

// TestPagesGoTogether in one statement, and each finds its own.
func TestPagesGoTogether(t *testing.T) {
	b := setup(t)
	s := b.router.All()[2]
	var users []entities.User
	for range 12 {
		users = append(users, b.mustCreate(t, b.emailOn(s)))
	}
	slices.Reverse(users)
	wanted := []stretch{{everybody, 3}, {users[4].ID, 5}, {users[10].ID, 4}, {users[11].ID, 2}, {users[4].ID, 1}, {uuid.Nil, 1}}
	want := [][]entities.User{users[:3], users[5:10], users[11:], {}, users[5:6], {}}
	err := s.ReadPrimary(t.Context(), func(db *gorm.DB) error {
		found, err := usersInEach(db, wanted)
		for i, w := range wanted {
			alone, aloneErr := usersIn(db, w)
			if aloneErr != nil {
				return aloneErr
			}
			for _, rows := range [][]userRow{found[w], alone} {
				got := make([]entities.User, 0, len(rows))
				for _, row := range rows {
					got = append(got, userFromRow(row))
				}
				if !slices.Equal(got, want[i]) {
					t.Errorf("%d below %s: got %d, want %d, or they differ", w.users, w.below, len(got), len(want[i]))
				}
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// plan is what EXPLAIN (ANALYZE, BUFFERS) tells of a node and those below it.
type plan struct {
	Node    string  `json:"Node Type"`
	Index   string  `json:"Index Name"`
	Rows    float64 `json:"Actual Rows"`
	Removed float64 `json:"Rows Removed by Filter"`
	Hit     int     `json:"Shared Hit Blocks"`
	Read    int     `json:"Shared Read Blocks"`
	Plans   []plan
}

// cost is what all shards do for a page.
type cost struct{ buffers, rows int }

// explain has every primary carry out what a page asks of it, and tells what it did.
func (b *bundle) explain(t testing.TB, p entities.Page) (c cost) {
	t.Helper()
	for _, s := range b.router.All() {
		below := everybody
		if after := p.After(); after != nil {
			below = after.After
		}
		wanted := portionOf(p.Offset()+p.Limit()+1, len(b.router.All()))
		sql := strings.ReplaceAll(selectBelow, "$1", "?") + strconv.Itoa(wanted)
		var text string
		if err := s.Primary.WithContext(t.Context()).Raw("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "+sql, below).Row().Scan(&text); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		var explained []struct{ Plan plan }
		if err := json.Unmarshal([]byte(text), &explained); err != nil {
			t.Fatal(err)
		}
		top := explained[0].Plan
		if len(top.Plans) != 1 || top.Plans[0].Index != "users_pkey" || top.Plans[0].Removed > 0 {
			t.Errorf("%s: the primary key's order is not used: %s", s.Name, text)
		}
		c.buffers += top.Hit + top.Read
		c.rows += int(top.Rows)
	}
	return c
}

// TestDeepPagesCostWhatTheFirstCosts compares pages of 20 by their cursors: what
// databases read for them, and how long they take.
func TestDeepPagesCostWhatTheFirstCosts(t *testing.T) {
	total, deepest := 10_000, 400
	if os.Getenv("TEST_LONG") != "" {
		total, deepest = 200_100, 10_000
	}
	b := setup(t)
	ids := testcluster.Fill(t, b.cfg, func(key string) string { return b.router.For(key).Name }, total)

	const limit = 20
	numbers := []int{1, 100, deepest}
	costs, times := make([]cost, len(numbers)), make([][]time.Duration, len(numbers))
	pages := make([]entities.Page, len(numbers))
	for i, number := range numbers {
		var err error
		if number == 1 {
			pages[i], err = entities.NewPage(limit, 0)
		} else {
			pages[i], err = entities.NewPageAfter(limit, entities.Cursor{After: ids[(number-1)*limit-1]})
		}
		if err != nil {
			t.Fatal(err)
		}
		costs[i] = b.explain(t, pages[i])
	}
	for range 100 { // by turns, so that all meet the same machine
		for i, number := range numbers {
			start := time.Now()
			list, err := b.ListAcross(t.Context(), pages[i])
			if err != nil {
				t.Fatal(err)
			}
			times[i] = append(times[i], time.Since(start))
			if from := (number - 1) * limit; len(list.Users) != limit || list.Users[0].ID != ids[from] || list.Next == nil {
				t.Fatalf("page %d: got %d users, want the %d from %s on", number, len(list.Users), limit, ids[from])
			}
		}
	}
	for i, number := range numbers {
		slices.Sort(times[i])
		median := times[i][len(times[i])/2]
		t.Logf("page %6d of %d users: %d rows and %d buffers on all shards, %s (median of %d)",
			number, total, costs[i].rows, costs[i].buffers, median, len(times[i]))
		if most := portionOf(limit+1, len(b.router.All())); costs[i].rows > len(b.router.All())*most {
			t.Errorf("page %d: the shards return %d rows, want at most %d each", number, costs[i].rows, most)
		}
		// A page's rows may lie on one block more, and its index entries on two leaves.
		if most := costs[0].buffers + 3*len(b.router.All()); costs[i].buffers > most {
			t.Errorf("page %d: the shards read %d buffers, page 1 took %d", number, costs[i].buffers, costs[0].buffers)
		}
	}
	// Time is the machine's too; three times as long would be no noise.
	if first, last := times[0][len(times[0])/2], times[2][len(times[2])/2]; last > 3*first {
		t.Errorf("page %d takes %s, page 1 %s", deepest, last, first)
	}
}

// TestOffsetCostsWhatItSkips, spread over the shards.
func TestOffsetCostsWhatItSkips(t *testing.T) {
	b := setup(t)
	// With few users a shard would rather sort them all.
	testcluster.Fill(t, b.cfg, func(key string) string { return b.router.For(key).Name }, 5_000)
	p, err := entities.NewPage(10, 70)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := b.explain(t, p).rows, len(b.router.All())*portionOf(81, len(b.router.All())); got != want {
		t.Errorf("the shards return %d rows for the 10 after 70, want %d", got, want)
	}
}

// TestEarliest also passes over shards that did not answer.
func TestEarliest(t *testing.T) {
	t.Parallel()
	m := func(at int64) entities.Moment { return entities.Moment{Clock: 7, Time: at} }
	for _, test := range []struct {
		moments []entities.Moment
		want    entities.Moment
	}{
		{[]entities.Moment{m(3), m(2), m(5)}, m(2)},
		{[]entities.Moment{{}, m(4), {}}, m(4)},
		{[]entities.Moment{m(0), m(4)}, m(0)},
		{nil, entities.Moment{}},
	} {
		if got := earliest(test.moments...); got != test.want {
			t.Errorf("%v: got %v, want %v", test.moments, got, test.want)
		}
	}
}
