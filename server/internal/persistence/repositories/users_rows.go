package repositories

import (
	"time"

	"github.com/google/uuid"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
)

// copiedUser names the form in which a cache keeps userRows, their JSON. It gets
// another number when that changes, since workers of two programs read the same
// copies during a roll.
const copiedUser = "user-1"

// userRow is a user as the table has it. The service's clock sets the times,
// not GORM's.
type userRow struct {
	ID        uuid.UUID `gorm:"type:uuid;primaryKey"`
	Name      string
	Email     string
	CreatedAt time.Time `gorm:"autoCreateTime:false"`
	UpdatedAt time.Time `gorm:"autoUpdateTime:false"`
	Version   entities.Version
}

// TableName implements gorm's schema.Tabler.
func (userRow) TableName() string { return "users" }

// columns are where a statement's id, name, email, created_at, updated_at and
// version are scanned into.
func (r *userRow) columns() []any {
	return []any{&r.ID, &r.Name, &r.Email, &r.CreatedAt, &r.UpdatedAt, &r.Version}
}

func userFromRow(r userRow) entities.User {
	return entities.User{
		ID:        r.ID,
		Name:      entities.Name(r.Name),
		Email:     entities.Email(r.Email),
		CreatedAt: r.CreatedAt.UTC(),
		UpdatedAt: r.UpdatedAt.UTC(),
		Version:   r.Version,
	}
}
