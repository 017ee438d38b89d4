package repositories

import (
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
)

// deleteUsers does what deleteUser does for users who are all of one shard, each if
// the user is of the version that is asked for. Who is locked by somebody else, or
// whose claim is, is passed over, as by updateUsers.
const deleteUsers = `
WITH free AS (
    SELECT w.* FROM unnest($2::uuid[], $3::bigint[]) WITH ORDINALITY AS w (id, version, n)
      JOIN users AS u ON u.id = w.id
      JOIN email_claims AS c ON c.email_key = u.email_key AND c.user_id = u.id
     WHERE w.version IS NULL OR u.version = w.version
       FOR UPDATE OF u, c SKIP LOCKED
), gone AS (
    DELETE FROM users AS u USING free AS w WHERE u.id = w.id AND clock_timestamp() < $1::timestamptz
    RETURNING w.n, u.id, u.email_key
), released AS (
    DELETE FROM email_claims AS c USING gone WHERE c.email_key = gone.email_key AND c.user_id = gone.id
)
SELECT n FROM gone`

// deletion is that of one of them.
type deletion struct {
	id    uuid.UUID
	match *entities.Version // nil is any
}

// deletionOf tells whether the user can be deleted with others.
func deletionOf(id uuid.UUID, match entities.Versions) (_ deletion, ok bool) {
	version, ok := oneVersion(match)
	return deletion{id, version}, ok
}

// keysOfDeletion are the keys under which it changes something.
func keysOfDeletion(d deletion) []string { return []string{d.id.String()} }

// deleteTogether tells who was deleted.
func deleteTogether(db *gorm.DB, deadline time.Time, wanted []deletion) ([]*struct{}, error) {
	ids, versions := make([]uuid.UUID, len(wanted)), make([]*int64, len(wanted))
	for i, w := range wanted {
		ids[i], versions[i] = w.id, (*int64)(w.match)
	}
	rows, err := db.Statement.ConnPool.QueryContext(db.Statement.Context, deleteUsers, deadline, uuids(ids), versions)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // Err has told by then
	did := make([]*struct{}, len(wanted))
	for rows.Next() {
		var n int64 // of the deletion, from 1 on
		if err := rows.Scan(&n); err != nil {
			return nil, err
		}
		did[n-1] = &struct{}{}
	}
	return did, rows.Err()
}
