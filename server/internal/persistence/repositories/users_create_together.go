package repositories

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
)

// createUsers creates users who are all of one shard (000012). It answers with
// the ids of those whom it created, and with nothing if it came too late.
const createUsers = `SELECT create_users($1, $2, $3, $4, $5, $6, $7, $8)`

// creation is that of a user.
type creation struct {
	entities.User
	note *note // nil: it may be done again
}

// note is kept of a create that is done once.
type note struct {
	key     entities.Hash
	expires time.Time
}

// keysOf are the keys that the creation of a user changes.
func keysOf(c creation) []string { return []string{c.ID.String(), c.Email.Key()} }

// insertUsers creates those of the users whose addresses have no claim, and who
// were not created before.
func insertUsers(db *gorm.DB, deadline time.Time, users []creation) (did []*struct{}, err error) {
	// Two statements that claim the same addresses must come to them in the same
	// order, or each could wait for the other.
	wanted := slices.Clone(users)
	slices.SortFunc(wanted, func(a, b creation) int {
		return cmp.Or(cmp.Compare(a.Email.Key(), b.Email.Key()), bytes.Compare(a.ID[:], b.ID[:]))
	})
	wanted = slices.CompactFunc(wanted, func(a, b creation) bool { return a.ID == b.ID }) // asked for twice under one key
	var (
		keys, names, emails = make([]string, len(wanted)), make([]string, len(wanted)), make([]string, len(wanted))
		ids                 = make([]uuid.UUID, len(wanted))
		times               = make([]time.Time, len(wanted))
		hashes              = make([][]byte, len(wanted))
		expires             = make([]*time.Time, len(wanted))
	)
	for i, u := range wanted {
		keys[i], ids[i], names[i], emails[i], times[i] = u.Email.Key(), u.ID, string(u.Name), string(u.Email), u.CreatedAt
		if u.note != nil {
			hashes[i], expires[i] = u.note.key[:], &u.note.expires
		}
	}
	rows, err := db.Statement.ConnPool.QueryContext(db.Statement.Context, createUsers, deadline, keys, uuids(ids), names, emails, times, hashes, expires)
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
			delete(created, u.ID)
		}
	}
	return did, rows.Err()
}
