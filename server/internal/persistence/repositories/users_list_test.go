package repositories

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// TestMergeNewestFirst compares the merge of random shards with what sorting
// all their rows gives.
func TestMergeNewestFirst(t *testing.T) {
	t.Parallel()
	order := func(a, b userRow) int { return bytes.Compare(b.ID[:], a.ID[:]) }
	for range 200 {
		lists := make([][]userRow, rand.IntN(6))
		var all []userRow
		for i := range lists {
			for range rand.IntN(30) {
				row := userRow{ID: uuid.New()}
				lists[i] = append(lists[i], row)
			}
			slices.SortFunc(lists[i], order)
			all = append(all, lists[i]...)
		}
		slices.SortFunc(all, order)
		skip, take := rand.IntN(40), rand.IntN(40)
		want := all[min(skip, len(all)):min(skip+take, len(all))]
		if got := mergeNewestFirst(lists, skip, take); !slices.Equal(got, want) {
			t.Fatalf("skip %d, take %d of %d rows: got %d rows, want %d, or they differ", skip, take, len(all), len(got), len(want))
		}
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
		sql := s.Primary.ToSQL(func(tx *gorm.DB) *gorm.DB { return pageOf(p).query(tx) })
		var text string
		if err := s.Primary.WithContext(t.Context()).Raw("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + sql).Row().Scan(&text); err != nil {
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
		if costs[i].rows > len(b.router.All())*(limit+1) {
			t.Errorf("page %d: the shards return %d rows, want at most %d each", number, costs[i].rows, limit+1)
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

// TestNoMoreRowsThanCanAppear asks for pages by offset, which cost more.
func TestNoMoreRowsThanCanAppear(t *testing.T) {
	b := setup(t)
	// With few users a shard would rather sort them all.
	testcluster.Fill(t, b.cfg, func(key string) string { return b.router.For(key).Name }, 5_000)
	p, err := entities.NewPage(10, 70)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := b.explain(t, p).rows, len(b.router.All())*81; got != want {
		t.Errorf("the shards return %d rows for the 10 after 70, want 81 each, %d", got, want)
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
		if got := earliest(test.moments); got != test.want {
			t.Errorf("%v: got %v, want %v", test.moments, got, test.want)
		}
	}
}
