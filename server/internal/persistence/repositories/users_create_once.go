package repositories

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
)

const (
	// recordCreate keeps what is asked for under a key, unless something is kept
	// already.
	recordCreate = `
INSERT INTO idempotency_keys (key_hash, request_hash, user_id, name, email, created_at, expires_at)
SELECT $2, $3, $4, $5, $6, $7, clock_timestamp() + $8::bigint * interval '1 microsecond' WHERE clock_timestamp() < $1::timestamptz
    ON CONFLICT (key_hash) DO NOTHING
RETURNING true, request_hash, user_id, name, email, created_at, expires_at`

	lookAtRecord = `
SELECT clock_timestamp() >= $1::timestamptz, expires_at <= clock_timestamp(), request_hash, user_id, name, email, created_at, expires_at
  FROM idempotency_keys WHERE key_hash = $2`

	// renewRecord does the same in place of what has expired.
	renewRecord = `
UPDATE idempotency_keys
   SET request_hash = $3, user_id = $4, name = $5, email = $6, created_at = $7, expires_at = clock_timestamp() + $8::bigint * interval '1 microsecond'
 WHERE key_hash = $2 AND expires_at <= clock_timestamp() AND clock_timestamp() < $1::timestamptz
RETURNING true, request_hash, user_id, name, email, created_at, expires_at`

	// recordCreates does what recordCreate does for many (000012). It answers with
	// the users of those that it recorded, and until when it keeps them.
	recordCreates = `SELECT recorded, expires FROM record_creates($1, $2, $3, $4, $5, $6, $7, $8)`
)

// noteOutlives is by how much the note that a create was done outlives the
// record of what was asked for: longer than any request that has read the
// record, and than clocks of two shards differ.
const noteOutlives = time.Hour

// CreateOnce implements repositories.Users.
func (r *ShardedUsers) CreateOnce(ctx context.Context, u entities.User, once entities.Once) (entities.User, bool, error) {
	if s := r.owner(ctx, u.ID); s != r.router.For(once.Key.String()) {
		if err := s.RoomToWrite(ctx); err != nil {
			return entities.User{}, false, translate(s.Name, "insert user", err)
		}
	}
	ctx = shard.Visit(ctx, 2)
	recorded, expires, err := r.record(ctx, u, once)
	if err != nil {
		return entities.User{}, false, err
	}
	r.at(ctx, "recorded")
	before, err := r.createOnce(ctx, creation{recorded, &note{once.Key, expires.Add(noteOutlives)}})
	if err != nil {
		return entities.User{}, false, err
	}
	return recorded, before, nil
}

// record returns the user that is to be created, which another request may have
// recorded, and until when the record holds.
func (r *ShardedUsers) record(ctx context.Context, u entities.User, once entities.Once) (recorded entities.User, expires time.Time, err error) {
	s := r.router.For(once.Key.String())
	var ended error
	until, err := r.users[s].record.Do(ctx, record{u, once}, func(ctx context.Context) {
		recorded, expires, ended = r.recordOne(ctx, s, u, once)
	})
	switch {
	case err != nil:
		return entities.User{}, time.Time{}, translateUnseen(s.Name, "record creates", err)
	case until != nil:
		return u, *until, nil
	default:
		return recorded, expires, ended
	}
}

func (r *ShardedUsers) recordOne(ctx context.Context, s *shard.Shard, u entities.User, once entities.Once) (entities.User, time.Time, error) {
	var (
		row     userRow
		request []byte
		expires time.Time
		expired bool
	)
	dest := []any{&request, &row.ID, &row.Name, &row.Email, &row.CreatedAt, &expires}
	do := query{recordCreate, []any{once.Key[:], once.Request[:], u.ID, string(u.Name), string(u.Email), u.CreatedAt, once.TTL.Microseconds()}, dest}
	look := query{lookAtRecord, []any{once.Key[:]}, append([]any{&expired}, dest...)}
	for range attempts(ctx) {
		request, expired = nil, false
		// Nobody reads records from a replica, so no key needs to be kept fresh.
		_, err := writeOrLook(ctx, s, nil, do, look)
		switch {
		case err != nil:
			return entities.User{}, time.Time{}, translateUnseen(s.Name, "record create", err)
		case expired:
			do.sql = renewRecord
		case request == nil: // swept since the statement began
			do.sql = recordCreate
		case !bytes.Equal(request, once.Request[:]):
			return entities.User{}, time.Time{}, errKeyReused
		default:
			row.UpdatedAt, row.Version = row.CreatedAt, u.Version
			return userFromRow(row), expires, nil
		}
	}
	return entities.User{}, time.Time{}, errCrowded
}

// record is what is asked for under a key.
type record struct {
	entities.User
	entities.Once
}

// keysOfRecord are none: nobody reads records from a replica.
func keysOfRecord(record) []string { return nil }

// insertRecords records those under whose keys nothing is kept, and returns until
// when each is.
func insertRecords(db *gorm.DB, deadline time.Time, wanted []record) (until []*time.Time, err error) {
	ordered := slices.Clone(wanted)
	slices.SortFunc(ordered, func(a, b record) int { return bytes.Compare(a.Key[:], b.Key[:]) }) // as insertUsers orders them
	var (
		keys, requests = make([][]byte, len(wanted)), make([][]byte, len(wanted))
		ids            = make([]uuid.UUID, len(wanted))
		names, emails  = make([]string, len(wanted)), make([]string, len(wanted))
		times          = make([]time.Time, len(wanted))
		ttls           = make([]int64, len(wanted))
	)
	for i, w := range ordered {
		keys[i], requests[i], ids[i], names[i], emails[i] = w.Key[:], w.Request[:], w.ID, string(w.Name), string(w.Email)
		times[i], ttls[i] = w.CreatedAt, w.TTL.Microseconds()
	}
	rows, err := db.Statement.ConnPool.QueryContext(db.Statement.Context, recordCreates, deadline, keys, requests, uuids(ids), names, emails, times, ttls)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // Err has told by then
	recorded := make(map[uuid.UUID]*time.Time, len(wanted))
	for rows.Next() {
		var (
			id      uuid.UUID
			expires time.Time
		)
		if err := rows.Scan(&id, &expires); err != nil {
			return nil, err
		}
		recorded[id] = &expires
	}
	until = make([]*time.Time, len(wanted))
	for i, w := range wanted {
		until[i] = recorded[w.ID]
	}
	return until, rows.Err()
}
