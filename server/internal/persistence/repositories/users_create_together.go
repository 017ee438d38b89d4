package repositories

import (
	"cmp"
	"slices"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
)

// createUsers creates users who are all of one shard (000011). It answers with
// the ids of those whom it created, and with nothing if it came too late.
const createUsers = `SELECT create_users($1, $2, $3, $4, $5, $6)`

// keysOf are the keys that the creation of a user changes.
func keysOf(u entities.User) []string { return []string{u.ID.String(), u.Email.Key()} }

// insertUsers creates those of the users whose addresses have no claim.
func insertUsers(db *gorm.DB, deadline time.Time, users []entities.User) (did []*struct{}, err error) {
	// Two statements that claim the same addresses must come to them in the same
	// order, or each could wait for the other.
	order := make([]int, len(users))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(users[a].Email.Key(), users[b].Email.Key()) })
	var (
		keys, names, emails = make([]string, len(users)), make([]string, len(users)), make([]string, len(users))
		ids                 = make([]uuid.UUID, len(users))
		times               = make([]time.Time, len(users))
	)
	for at, i := range order {
		u := users[i]
		keys[at], ids[at], names[at], emails[at], times[at] = u.Email.Key(), u.ID, string(u.Name), string(u.Email), u.CreatedAt
	}
	rows, err := db.Statement.ConnPool.QueryContext(db.Statement.Context, createUsers, deadline, keys, uuids(ids), names, emails, times)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // Err has told by then
	created := make(map[uuid.UUID]bool, len(users))
	for rows.Next() {
		var id *uuid.UUID
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		if id == nil {
			return nil, shard.ErrTooLate
		}
		created[*id] = true
	}
	did = make([]*struct{}, len(users))
	for i, u := range users {
		if created[u.ID] {
			did[i] = &struct{}{}
		}
	}
	return did, rows.Err()
}
