package repositories

import (
	"context"
	"slices"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
)

// ListAcross implements repositories.Users. Each shard is asked for its share of
// the page, of everything up to it, and of one row more, which tells whether
// there is a next page; and again where that falls short.
func (r *ShardedUsers) ListAcross(ctx context.Context, p entities.Page) (entities.List, error) {
	var (
		shards = r.router.All()
		parts  = make([]part, len(shards))
		has    = make([]entities.Moment, len(shards))
		gaps   = make([]error, len(shards))
		since  entities.Moment
		top    = everybody
		rows   []userRow
	)
	if after := p.After(); after != nil {
		since, top = after.Since, after.After
	}
	which, lacks := r.everyShard(), p.Offset()+p.Limit()+1
	for len(which) > 0 {
		wanted := portionOf(lacks, len(shards))
		err := r.ask(ctx, "list users", which, gaps, func(ctx context.Context, i int, s *shard.Shard) error {
			below := top
			if n := len(parts[i].users); n > 0 {
				below = parts[i].users[n-1].ID
			}
			users, state, err := r.users[s].list.Get(ctx, since, stretch{below, wanted})
			if err != nil {
				parts[i], has[i] = part{whole: true}, entities.Moment{} // where that is no error, it is a gap
				return err
			}
			parts[i].whole = len(users) < wanted
			if below != top {
				users = slices.Concat(parts[i].users, users) // which others share
			}
			parts[i].users = users
			has[i] = earliest(has[i], state)
			return nil
		})
		if err != nil {
			return entities.List{}, err
		}
		rows, which, lacks = mergeNewestFirst(parts, p.Offset(), p.Limit()+1)
	}
	missing, err := r.missing(ctx, gaps)
	if err != nil {
		return entities.List{}, err
	}
	list := entities.List{Users: make([]entities.User, 0, p.Limit()), Missing: missing}
	for _, row := range rows[:min(len(rows), p.Limit())] {
		list.Users = append(list.Users, userFromRow(row))
	}
	cursor := r.cursor(p, earliest(has...))
	list.AsOf = cursor.AsOf
	if len(rows) > p.Limit() {
		cursor.After = list.Users[p.Limit()-1].ID
		list.Next = &cursor
	}
	return list, nil
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
func earliest(moments ...entities.Moment) (first entities.Moment) {
	for _, m := range moments {
		if m.Clock != 0 && (first.Clock == 0 || m.Time < first.Time) {
			first = m
		}
	}
	return first
}
