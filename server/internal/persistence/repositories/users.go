// Package repositories stores users in PostgreSQL, spread over shards.
package repositories

import (
	"context"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/repositories"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/requestlog"
)

// ShardedUsers stores each user on the shard that owns the id. Writes are
// single statements to the primary; reads ask the replica first.
type ShardedUsers struct {
	router       *shard.Router
	countTimeout time.Duration
}

var _ repositories.Users = (*ShardedUsers)(nil)

// NewShardedUsers returns the users behind the router. A replica may take
// countTimeout to count its users.
func NewShardedUsers(router *shard.Router, countTimeout time.Duration) *ShardedUsers {
	return &ShardedUsers{router: router, countTimeout: countTimeout}
}

// NewID draws an id for a new user from UUIDv7s: the user is then born on the
// shard that owns the address, where the unique index on lower(email) refuses
// every second create of it. An address that was changed later has not moved
// to its owner; the index speaks only for the user's own shard then.
func (r *ShardedUsers) NewID(email entities.Email) (uuid.UUID, error) {
	return r.router.NewID(email.Key(), uuid.NewV7)
}

// Create implements repositories.Users.
func (r *ShardedUsers) Create(ctx context.Context, u entities.User) error {
	s := r.owner(ctx, u.ID)
	row := rowFromUser(u)
	return translate(s.Name, "insert user", s.Write(ctx, []string{u.ID.String(), u.Email.Key()}, func(db *gorm.DB, _ time.Time) error {
		return db.Create(&row).Error
	}))
}

// ByID implements repositories.Users.
func (r *ShardedUsers) ByID(ctx context.Context, id uuid.UUID) (entities.User, error) {
	s := r.owner(ctx, id)
	var row userRow
	err := s.Read(ctx, id.String(), func(db *gorm.DB) error {
		return db.Where("id = ?", id).Take(&row).Error
	})
	if err != nil {
		return entities.User{}, translate(s.Name, "select user", err)
	}
	return userFromRow(row), nil
}

// Update implements repositories.Users.
func (r *ShardedUsers) Update(ctx context.Context, id uuid.UUID, c entities.Changes, now time.Time) (entities.User, error) {
	s := r.owner(ctx, id)
	set := map[string]any{"updated_at": now}
	if c.Name != nil {
		set["name"] = string(*c.Name)
	}
	if c.Email != nil {
		set["email"] = string(*c.Email)
	}
	var row userRow
	result := s.Primary.WithContext(ctx).Model(&row).
		Clauses(clause.Returning{Columns: userColumns}).
		Where("id = ?", id).
		Updates(set)
	if err := oneRow(result); err != nil {
		return entities.User{}, translate(s.Name, "update user", err)
	}
	return userFromRow(row), nil
}

// Delete implements repositories.Users.
func (r *ShardedUsers) Delete(ctx context.Context, id uuid.UUID) error {
	s := r.owner(ctx, id)
	result := s.Primary.WithContext(ctx).Where("id = ?", id).Delete(&userRow{})
	return translate(s.Name, "delete user", oneRow(result))
}

// ListAcross implements repositories.Users. Any shard may hold the whole page,
// so each is asked for everything up to the page's end and one row more, which
// tells whether there is a next page.
func (r *ShardedUsers) ListAcross(ctx context.Context, p entities.Page) ([]entities.User, bool, error) {
	upTo := p.Offset() + p.Limit() + 1
	lists := make([][]userRow, len(r.router.All()))
	err := r.eachShard(ctx, "list users", func(ctx context.Context, i int, s *shard.Shard) error {
		return s.ReadAny(ctx, func(db *gorm.DB) error {
			lists[i] = nil // a replica may have failed halfway
			return db.Order("created_at DESC, id DESC").Limit(upTo).Find(&lists[i]).Error
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

// CountPerShard implements repositories.Users.
func (r *ShardedUsers) CountPerShard(ctx context.Context) ([]entities.ShardCount, error) {
	counts := make([]entities.ShardCount, len(r.router.All()))
	err := r.eachShard(ctx, "count users", func(ctx context.Context, i int, s *shard.Shard) error {
		counts[i].Shard = s.Name
		return s.ReadWithin(ctx, r.countTimeout, func(db *gorm.DB) error {
			return db.Model(&userRow{}).Count(&counts[i].Users).Error
		})
	})
	return counts, err
}

// eachShard calls ask for every shard at once. The first to fail ends the rest:
// there is no answer without it.
func (r *ShardedUsers) eachShard(ctx context.Context, what string, ask func(context.Context, int, *shard.Shard) error) error {
	requestlog.From(ctx).Shard("all")
	group, ctx := errgroup.WithContext(ctx)
	for i, s := range r.router.All() {
		group.Go(func() error { return translate(s.Name, what, ask(ctx, i, s)) })
	}
	return group.Wait()
}

func (r *ShardedUsers) owner(ctx context.Context, id uuid.UUID) *shard.Shard {
	s := r.router.For(id.String())
	requestlog.From(ctx).Shard(s.Name)
	return s
}

// oneRow turns a statement that touched nothing into the error of a missing record.
func oneRow(result *gorm.DB) error {
	if result.Error == nil && result.RowsAffected == 0 {
		return gorm.ErrRecordNotFound
	}
	return result.Error
}
