package repositories

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
)

func TestRowsKeepUsers(t *testing.T) {
	t.Parallel()
	cet := time.FixedZone("CET", 3600)
	u := entities.User{ID: uuid.New(), Name: "Ada", Email: "ada@example.com", CreatedAt: time.Now().UTC(), UpdatedAt: time.Now().UTC()}
	u.Version = 3
	row := userRow{ // the times as a driver in another zone reads them
		ID: u.ID, Name: string(u.Name), Email: string(u.Email), Version: u.Version,
		CreatedAt: u.CreatedAt.In(cet), UpdatedAt: u.UpdatedAt.In(cet),
	}
	if got := userFromRow(row); fmt.Sprint(got) != fmt.Sprint(u) {
		t.Errorf("got  %v\nwant %v", got, u)
	}
}
