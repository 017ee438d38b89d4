package repositories

import (
	"bytes"
	"time"

	"github.com/google/uuid"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
)

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

// newer is the list's order: by creation, and by id within a microsecond.
func newer(a, b *userRow) bool {
	if c := a.CreatedAt.Compare(b.CreatedAt); c != 0 {
		return c > 0
	}
	return bytes.Compare(a.ID[:], b.ID[:]) > 0
}

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
