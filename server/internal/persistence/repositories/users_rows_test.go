package repositories

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
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

func TestRowsKeepUsers(t *testing.T) {
	t.Parallel()
	cet := time.FixedZone("CET", 3600)
	u := entities.User{ID: uuid.New(), Name: "Ada", Email: "ada@example.com", CreatedAt: time.Now().UTC(), UpdatedAt: time.Now().UTC()}
	u.Version = 3
	row := userRow{ // the times as a driver in another zone reads them
		ID: u.ID, Name: string(u.Name), Email: string(u.Email), Version: u.Version,
		CreatedAt: u.CreatedAt.In(cet), UpdatedAt: u.UpdatedAt.In(cet),
	}
	if got := userFromRow(row); fmt.Sprint(got) != fmt.Sprint(u) {
		t.Errorf("got  %v\nwant %v", got, u)
	}
}
