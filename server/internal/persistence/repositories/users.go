// Package repositories stores users in PostgreSQL, spread over shards.
package repositories

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
	"gorm.io/gorm"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/repositories"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/requestlog"
)

// ShardedUsers stores each user on the shard that owns the id, and the claim to
// each address on the shard that owns the address. Writes are single statements
// to the primary, but for changes of an address; reads ask the replica first.
type ShardedUsers struct {
	router       *shard.Router
	users        map[*shard.Shard]together
	countTimeout time.Duration
	reached      func(ctx context.Context, step string) // set by tests, which stop a write between its statements
}

var _ repositories.Users = (*ShardedUsers)(nil)

// NewShardedUsers returns the users behind the router. A replica may take
// countTimeout to count its users.
func NewShardedUsers(router *shard.Router, countTimeout time.Duration) *ShardedUsers {
	r := &ShardedUsers{router: router, users: make(map[*shard.Shard]together), countTimeout: countTimeout}
	for _, s := range router.All() {
		r.users[s] = together{
			byID:   shard.NewLookups(s, userByID, usersByID).Copied(copiedUser),
			list:   shard.NewLists(s, usersIn, usersInEach, func(s stretch) int { return s.users }),
			create: shard.NewWrites(s, keysOf, insertUsers),
			record: shard.NewWrites(s, keysOfRecord, insertRecords),
			update: shard.NewWrites(s, keysOfUpdate, updateTogether),
			remove: shard.NewWrites(s, keysOfDeletion, deleteTogether),
		}
	}
	return r
}

// together are the statements of one shard that requests share.
type together struct {
	byID   *shard.Lookups[uuid.UUID, userRow]
	list   *shard.Lists[stretch, []userRow]
	create *shard.Writes[creation, struct{}]
	record *shard.Writes[record, time.Time]
	update *shard.Writes[update, userRow]
	remove *shard.Writes[deletion, struct{}]
}

// NewID draws an id for a new user from UUIDv7s: the user is then born on the
// shard that owns the address, beside the address's claim.
func (r *ShardedUsers) NewID(email entities.Email) (uuid.UUID, error) {
	return r.router.NewID(email.Key(), uuid.NewV7)
}

// ByID implements repositories.Users.
func (r *ShardedUsers) ByID(ctx context.Context, id uuid.UUID) (entities.User, error) {
	s := r.owner(ctx, id)
	row, err := r.users[s].byID.Get(ctx, id.String(), id)
	if err != nil {
		return entities.User{}, translate(s.Name, "select user", err)
	}
	return userFromRow(row), nil
}

// CountPerShard implements repositories.Users.
func (r *ShardedUsers) CountPerShard(ctx context.Context) (entities.ShardCounts, error) {
	counts := make([]entities.ShardCount, len(r.router.All()))
	missing, err := r.eachShard(ctx, "count users", func(ctx context.Context, i int, s *shard.Shard) error {
		var err error
		counts[i].Server, err = s.ReadAny(ctx, r.countTimeout, func(db *gorm.DB) error {
			return db.Model(&userRow{}).Count(&counts[i].Users).Error
		})
		if err == nil {
			counts[i].Shard = s.Name
		}
		return err
	})
	counts = slices.DeleteFunc(counts, func(c entities.ShardCount) bool { return c.Shard == "" })
	return entities.ShardCounts{Shards: counts, Missing: missing}, err
}

// eachShard calls ask for every shard at once. The first to fail ends the rest:
// there is no answer without it. If the reader is lenient, shards that do not
// answer are missing instead, unless none does.
func (r *ShardedUsers) eachShard(ctx context.Context, what string, ask func(context.Context, int, *shard.Shard) error) (missing []string, err error) {
	gaps := make([]error, len(r.router.All()))
	if err := r.ask(ctx, what, r.everyShard(), gaps, ask); err != nil {
		return nil, err
	}
	return r.missing(ctx, gaps)
}

func (r *ShardedUsers) everyShard() []int {
	all := make([]int, len(r.router.All()))
	for i := range all {
		all[i] = i
	}
	return all
}

// ask is eachShard for some of the shards. It notes as gaps why others are missing.
func (r *ShardedUsers) ask(ctx context.Context, what string, which []int, gaps []error, ask func(context.Context, int, *shard.Shard) error) error {
	requestlog.From(ctx).Shard("all")
	lenient := repositories.IsLenient(ctx)
	group, ctx := errgroup.WithContext(ctx)
	if repositories.IsPatient(ctx) {
		group.SetLimit(1)
	}
	for _, i := range which {
		s := r.router.All()[i]
		group.Go(func() error {
			err := translate(s.Name, what, ask(ctx, i, s))
			if lenient && entities.KindOf(err) == entities.Unavailable {
				gaps[i] = err
				return nil
			}
			return err
		})
	}
	return group.Wait()
}

// missing names the shards for which there are gaps, which must not be all.
func (r *ShardedUsers) missing(ctx context.Context, gaps []error) (missing []string, err error) {
	for i, gap := range gaps {
		if gap != nil {
			missing = append(missing, r.router.All()[i].Name)
			requestlog.From(ctx).Missing(gap.Error())
		}
	}
	if len(missing) == len(gaps) {
		return nil, gaps[0]
	}
	return missing, nil
}

func (r *ShardedUsers) owner(ctx context.Context, id uuid.UUID) *shard.Shard {
	s := r.router.For(id.String())
	requestlog.From(ctx).Shard(s.Name)
	return s
}
