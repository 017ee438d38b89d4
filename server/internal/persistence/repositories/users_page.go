package repositories

import (
	"math"
	"slices"
	"strconv"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
	"gorm.io/gorm"
)

// stretch is what a shard is asked for: so many users, the newest of those whose
// ids are lower.
type stretch struct {
	below uuid.UUID
	users int
}

// everybody is above all ids, which are of version 7.
var everybody = uuid.Max

// portionOf is how many of the list's next n users a shard is asked for. By its
// share and three standard deviations, it has to be asked again once in 200
// pages of 20.
func portionOf(n, shards int) int {
	if shards == 1 {
		return n
	}
	share := float64(n) / float64(shards)
	return min(n, int(math.Ceil(share+3*math.Sqrt(share))))
}

// The limits stand in the text: for one that is a parameter PostgreSQL assumes a
// tenth of the table, and then plans anew each time, which takes longer than the rest.
const (
	selectBelow = selectUsers + ` WHERE id < $1 ORDER BY id DESC LIMIT `

	selectEachBelow = `
SELECT wanted.n, u.* FROM unnest($1::uuid[]) WITH ORDINALITY AS wanted (id, n)
 CROSS JOIN LATERAL (` + selectUsers + ` WHERE users.id < wanted.id ORDER BY users.id DESC LIMIT `
)

func usersIn(db *gorm.DB, s stretch) ([]userRow, error) {
	rows, err := db.Statement.ConnPool.QueryContext(db.Statement.Context, selectBelow+strconv.Itoa(s.users), pgtype.UUID{Bytes: s.below, Valid: true})
	if err != nil {
		return nil, err
	}
	users := make([]userRow, 0, s.users)
	err = eachUser(rows, func(row userRow) { users = append(users, row) })
	return users, err
}

// usersInEach reads several stretches, and of each as many as the longest has.
func usersInEach(db *gorm.DB, wanted []stretch) (map[stretch][]userRow, error) {
	below, longest := make([]uuid.UUID, len(wanted)), 0
	for i, s := range wanted {
		below[i], longest = s.below, max(longest, s.users)
	}
	rows, err := db.Statement.ConnPool.QueryContext(db.Statement.Context, selectEachBelow+strconv.Itoa(longest)+`) AS u`, uuids(below))
	if err != nil {
		return nil, err
	}
	var (
		n    int64 // of the stretch, from 1 on
		each = make([][]userRow, len(wanted))
	)
	err = eachUser(rows, func(row userRow) { each[n-1] = append(each[n-1], row) }, &n)
	if err != nil {
		return nil, err
	}
	found := make(map[stretch][]userRow, len(wanted))
	for i, s := range wanted {
		// They come so, but nothing says that they must.
		slices.SortFunc(each[i], func(a, b userRow) int { return newestFirst(&a, &b) })
		found[s] = each[i][:min(len(each[i]), s.users)]
	}
	return found, nil
}
