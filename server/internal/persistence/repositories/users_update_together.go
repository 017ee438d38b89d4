package repositories

import (
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
)

// renameUsers changes the names of users who are all of one shard, each if of the
// version that is asked for. Who is locked by somebody else is passed over: so it
// waits for nobody, and no two statements wait for each other in a circle. Of two
// changes of one user it makes one. Those that it did not make go alone.
const renameUsers = `
WITH free AS (
    SELECT w.* FROM unnest($2::uuid[], $3::text[], $4::timestamptz[], $5::bigint[]) WITH ORDINALITY AS w (id, name, now, version, n)
      JOIN users AS u ON u.id = w.id
       FOR NO KEY UPDATE OF u SKIP LOCKED
)
UPDATE users AS u SET name = w.name, updated_at = w.now, version = u.version + 1
  FROM free AS w
 WHERE u.id = w.id AND clock_timestamp() < $1::timestamptz AND (w.version IS NULL OR u.version = w.version)
RETURNING w.n, u.id, u.name, u.email, u.created_at, u.updated_at, u.version`

// rename is a change of nothing but the name.
type rename struct {
	id    uuid.UUID
	name  entities.Name
	match *entities.Version // nil is any
	now   time.Time
}

// renameOf tells whether the changes are a rename.
func renameOf(id uuid.UUID, c entities.Changes, match entities.Versions, now time.Time) (r rename, ok bool) {
	if c.Name == nil || c.Email != nil || match != nil && len(match) != 1 {
		return rename{}, false
	}
	r = rename{id: id, name: *c.Name, now: now}
	if match != nil {
		r.match = &match[0]
	}
	return r, true
}

// keysOfRename are the keys that a rename changes.
func keysOfRename(r rename) []string { return []string{r.id.String()} }

// renameTogether returns those who were renamed.
func renameTogether(db *gorm.DB, deadline time.Time, wanted []rename) ([]*userRow, error) {
	var (
		ids, names = make([]uuid.UUID, len(wanted)), make([]string, len(wanted))
		times      = make([]time.Time, len(wanted))
		versions   = make([]*int64, len(wanted))
	)
	for i, w := range wanted {
		ids[i], names[i], times[i], versions[i] = w.id, string(w.name), w.now, (*int64)(w.match)
	}
	rows, err := db.Statement.ConnPool.QueryContext(db.Statement.Context, renameUsers, deadline, uuids(ids), names, times, versions)
	if err != nil {
		return nil, err
	}
	var (
		n   int64 // of the rename, from 1 on
		did = make([]*userRow, len(wanted))
	)
	err = eachUser(rows, func(row userRow) { did[n-1] = &row }, &n)
	return did, err
}
