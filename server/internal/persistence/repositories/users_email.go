package repositories

import (
	"context"
	"errors"

	"gorm.io/gorm"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/requestlog"
)

// ByEmail implements repositories.Users. It asks the shard that owns the address
// for the claim and the claim's user's for the user, mostly the same.
//
// Each read is as fresh as its key asks for, but they are two: where they do not
// agree, the primaries are asked. A user who does not carry the address under
// its claim then shows that nobody did at some moment since the call.
func (r *ShardedUsers) ByEmail(ctx context.Context, email entities.Email) (entities.User, error) {
	key := email.Key()
	home := r.router.For(key)
	requestlog.From(ctx).Shard(home.Name)

	var found claimRow
	byKey := func(db *gorm.DB) error { return db.Where("email_key = ?", key).Take(&found).Error }
	err := home.Read(ctx, key, byKey)
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return entities.User{}, errNoEmail
	}
	if err != nil {
		return entities.User{}, translate(home.Name, "select claim", err)
	}
	u, err := r.ByID(ctx, found.UserID)
	if err == nil && u.Email.Key() == key {
		return u, nil
	}
	if err != nil && entities.KindOf(err) != entities.NotFound {
		return entities.User{}, err
	}

	found = claimRow{}
	err = home.ReadPrimary(ctx, byKey)
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return entities.User{}, errNoEmail
	}
	if err != nil {
		return entities.User{}, translate(home.Name, "select claim", err)
	}
	s := r.owner(ctx, found.UserID)
	var row userRow
	err = s.ReadPrimary(ctx, func(db *gorm.DB) error {
		return db.Where("id = ? AND email_key = ?", found.UserID, key).Take(&row).Error
	})
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return entities.User{}, errNoEmail
	}
	if err != nil {
		return entities.User{}, translate(s.Name, "select user", err)
	}
	return userFromRow(row), nil
}
