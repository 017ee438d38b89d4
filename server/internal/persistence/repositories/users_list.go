package repositories

import (
	"bytes"
	"context"

	"gorm.io/gorm"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
)

// ListAcross implements repositories.Users. Any shard may hold the whole page,
// so each is asked for everything up to the page's end and one row more, which
// tells whether there is a next page.
func (r *ShardedUsers) ListAcross(ctx context.Context, p entities.Page) ([]entities.User, bool, error) {
	upTo := p.Offset() + p.Limit() + 1
	lists := make([][]userRow, len(r.router.All()))
	err := r.eachShard(ctx, "list users", func(ctx context.Context, i int, s *shard.Shard) error {
		return s.ReadAny(ctx, func(db *gorm.DB) error {
			lists[i] = nil // a replica may have failed halfway
			return db.Order("id DESC").Limit(upTo).Find(&lists[i]).Error
		})
	})
	if err != nil {
		return nil, false, err
	}
	rows := mergeNewestFirst(lists, p.Offset(), p.Limit()+1)
	more := len(rows) > p.Limit()
	users := make([]entities.User, 0, p.Limit())
	for _, row := range rows[:min(len(rows), p.Limit())] {
		users = append(users, userFromRow(row))
	}
	return users, more, nil
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
