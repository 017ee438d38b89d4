package repositories

import (
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
)

// updateUsers makes changes of users who are all of one shard, each if the user is of
// the version that is asked for, and keeps the address that may be named. Who is locked
// by somebody else is passed over: so it waits for nobody, and no two statements
// wait for each other in a circle. Of two changes of one user it makes one. Those
// that it did not make go alone.
const updateUsers = `
WITH free AS (
    SELECT w.* FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::bigint[])
           WITH ORDINALITY AS w (id, name, email, email_key, now, version, n)
      JOIN users AS u ON u.id = w.id
       FOR NO KEY UPDATE OF u SKIP LOCKED
)
UPDATE users AS u SET name = coalesce(w.name, u.name), email = coalesce(w.email, u.email), updated_at = w.now, version = u.version + 1
  FROM free AS w
 WHERE u.id = w.id AND clock_timestamp() < $1::timestamptz
   AND (w.email_key IS NULL OR u.email_key = w.email_key) AND (w.version IS NULL OR u.version = w.version)
RETURNING w.n, u.id, u.name, u.email, u.created_at, u.updated_at, u.version`

// update is one of them.
type update struct {
	id uuid.UUID
	entities.Changes
	match *entities.Version // nil is any
	now   time.Time
}

// updateOf tells whether the changes can be made with others.
func updateOf(id uuid.UUID, c entities.Changes, match entities.Versions, now time.Time) (_ update, ok bool) {
	version, ok := oneVersion(match)
	return update{id, c, version, now}, ok
}

// oneVersion is the only one that a write may find; nil is any. It is not ok if
// there are several, for which a write goes alone.
func oneVersion(match entities.Versions) (_ *entities.Version, ok bool) {
	switch {
	case match == nil:
		return nil, true
	case len(match) == 1:
		return &match[0], true
	default:
		return nil, false
	}
}

// keysOfUpdate are the keys under which it changes something.
func keysOfUpdate(u update) []string { return []string{u.id.String()} }

// updateTogether returns those who were changed.
func updateTogether(db *gorm.DB, deadline time.Time, wanted []update) ([]*userRow, error) {
	var (
		ids           = make([]uuid.UUID, len(wanted))
		names, emails = make([]*string, len(wanted)), make([]*string, len(wanted))
		keys          = make([]*string, len(wanted))
		times         = make([]time.Time, len(wanted))
		versions      = make([]*int64, len(wanted))
	)
	for i, w := range wanted {
		ids[i], names[i], emails[i], times[i], versions[i] = w.id, (*string)(w.Name), (*string)(w.Email), w.now, (*int64)(w.match)
		keys[i] = keyOf(w.Changes)
	}
	rows, err := db.Statement.ConnPool.QueryContext(db.Statement.Context, updateUsers, deadline, uuids(ids), names, emails, keys, times, versions)
	if err != nil {
		return nil, err
	}
	var (
		n   int64 // of the change, from 1 on
		did = make([]*userRow, len(wanted))
	)
	err = eachUser(rows, func(row userRow) { did[n-1] = &row }, &n)
	return did, err
}

// keyOf is that of the address that the changes name; nil is none.
func keyOf(c entities.Changes) *string {
	if c.Email == nil {
		return nil
	}
	key := c.Email.Key()
	return &key
}
