package repositories

import (
	"database/sql"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
	"gorm.io/gorm"
)

// Users are read past GORM's model, whose reflection costs as much as all else
// that a read does here. Ids are pgx's own type, which it does not take through text.
const (
	selectUsers = `SELECT id, name, email, created_at, updated_at, version FROM users`
	selectUser  = selectUsers + ` WHERE id = ?`
	selectThese = selectUsers + ` WHERE id = ANY($1)`
)

func userByID(db *gorm.DB, id uuid.UUID) (row userRow, err error) {
	err = db.Raw(selectUser, pgtype.UUID{Bytes: id, Valid: true}).Row().Scan(row.columns()...)
	return row, found(err)
}

// found gives the absence of a row GORM's name for it.
func found(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return gorm.ErrRecordNotFound
	}
	return err
}

// usersByID leaves out those who are not there. It goes past GORM's Raw, which
// would make an argument of each id, and so a statement of each number of them.
func usersByID(db *gorm.DB, ids []uuid.UUID) (map[uuid.UUID]userRow, error) {
	rows, err := db.Statement.ConnPool.QueryContext(db.Statement.Context, selectThese, uuids(ids))
	if err != nil {
		return nil, err
	}
	users := make(map[uuid.UUID]userRow, len(ids))
	err = eachUser(rows, func(row userRow) { users[row.ID] = row })
	return users, err
}

// eachUser yields the rows of selectUsers, and closes them. What stands before the
// user's columns is scanned into before.
func eachUser(rows *sql.Rows, yield func(userRow), before ...any) error {
	defer func() { _ = rows.Close() }() // Err has told by then
	var row userRow
	dest := append(before, row.columns()...)
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		yield(row)
	}
	return rows.Err()
}

func uuids(ids []uuid.UUID) []pgtype.UUID {
	list := make([]pgtype.UUID, len(ids))
	for i, id := range ids {
		list[i] = pgtype.UUID{Bytes: id, Valid: true}
	}
	return list
}
