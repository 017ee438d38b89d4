package repositories

import (
	"bytes"
	"context"

	"github.com/jackc/pgx/v5/pgtype"
	"gorm.io/gorm"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
)

// ListAcross implements repositories.Users. Any shard may hold the whole page,
// so each is asked for everything up to the page's end and one row more, which
// tells whether there is a next page.
func (r *ShardedUsers) ListAcross(ctx context.Context, p entities.Page) (entities.List, error) {
	var since entities.Moment
	if after := p.After(); after != nil {
		since = after.Since
	}
	shards := r.router.All()
	lists, has := make([][]userRow, len(shards)), make([]entities.Moment, len(shards))
	missing, err := r.eachShard(ctx, "list users", func(ctx context.Context, i int, s *shard.Shard) error {
		var err error
		lists[i], has[i], err = r.users[s].page.Get(ctx, since, pageOf(p))
		if err != nil {
			lists[i], has[i] = nil, entities.Moment{}
		}
		return err
	})
	if err != nil {
		return entities.List{}, err
	}

	rows := mergeNewestFirst(lists, p.Offset(), p.Limit()+1)
	list := entities.List{Users: make([]entities.User, 0, p.Limit()), Missing: missing}
	for _, row := range rows[:min(len(rows), p.Limit())] {
		list.Users = append(list.Users, userFromRow(row))
	}
	cursor := r.cursor(p, earliest(has))
	list.AsOf = cursor.AsOf
	if len(rows) > p.Limit() {
		cursor.After = list.Users[p.Limit()-1].ID
		list.Next = &cursor
	}
	return list, nil
}

// page is what a shard is asked for: its newest users, or those before one.
type page struct {
	users  int
	before pgtype.UUID
}

func pageOf(p entities.Page) page {
	asked := page{users: p.Offset() + p.Limit() + 1}
	if after := p.After(); after != nil {
		asked.before = pgtype.UUID{Bytes: after.After, Valid: true}
	}
	return asked
}

const (
	selectNewest = selectUsers + ` ORDER BY id DESC LIMIT ?`
	selectBefore = selectUsers + ` WHERE id < ? ORDER BY id DESC LIMIT ?`
)

func (p page) query(db *gorm.DB) *gorm.DB {
	if p.before.Valid {
		return db.Raw(selectBefore, p.before, p.users)
	}
	return db.Raw(selectNewest, p.users)
}

func usersOf(db *gorm.DB, p page) ([]userRow, error) {
	rows, err := p.query(db).Rows()
	if err != nil {
		return nil, err
	}
	var users []userRow
	err = eachUser(rows, func(row userRow) { users = append(users, row) })
	return users, err
}

// cursor is that of the walk which the page begins or goes on with. Nobody had
// an older state than has when the page was read.
//
// A walk that was begun before the server was started anew has a Moment that
// says nothing any more. No replica has been asked for this page then, and what
// the primaries have now includes what was there before: so it may go on from
// now.
func (r *ShardedUsers) cursor(p entities.Page, has entities.Moment) entities.Cursor {
	after := p.After()
	switch {
	case after == nil:
		return entities.Cursor{Since: has, AsOf: r.router.TimeOf(has)}
	case after.Since.Comparable(has):
		return entities.Cursor{Since: after.Since, AsOf: after.AsOf}
	default:
		return entities.Cursor{Since: has, AsOf: after.AsOf}
	}
}

// earliest is the first of the Moments, but for those of shards that did not
// answer. They are of one clock.
func earliest(moments []entities.Moment) (first entities.Moment) {
	for _, m := range moments {
		if m.Clock != 0 && (first.Clock == 0 || m.Time < first.Time) {
			first = m
		}
	}
	return first
}

// newer is the list's order: by id, which is by creation.
func newer(a, b *userRow) bool { return bytes.Compare(a.ID[:], b.ID[:]) > 0 }

// mergeNewestFirst merges lists that are each newest first and returns up to
// take rows of the result after the first skip. It consumes the lists.
func mergeNewestFirst(lists [][]userRow, skip, take int) []userRow {
	merged := make([]userRow, 0, take)
	for len(merged) < take {
		head := -1
		for i := range lists {
			if len(lists[i]) > 0 && (head < 0 || newer(&lists[i][0], &lists[head][0])) {
				head = i
			}
		}
		if head < 0 {
			break
		}
		if skip > 0 {
			skip--
		} else {
			merged = append(merged, lists[head][0])
		}
		lists[head] = lists[head][1:]
	}
	return merged
}
