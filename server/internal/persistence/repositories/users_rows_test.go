package repositories

import (
	"fmt"
	"testing"
	"time"

	"github.com/bytedance/sonic"
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

// Programs that run at once, in a roll, read each other's copies of what is of
// one name: another form must have another.
func TestFormOfCopies(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 8, 0, 0, 1000, time.UTC)
	row := userRow{ID: uuid.MustParse("01939f2e-7c1a-7bd2-8f0e-3f5b6c7d8e9f"), Name: "Zoë", Email: "zoe@example.com", CreatedAt: at, UpdatedAt: at.Add(time.Hour), Version: 7}
	got, err := sonic.MarshalString(row)
	if err != nil {
		t.Fatal(err)
	}
	const want = `user-1 {"ID":"01939f2e-7c1a-7bd2-8f0e-3f5b6c7d8e9f","Name":"Zoë","Email":"zoe@example.com",` +
		`"CreatedAt":"2026-11-22T08:00:00.000001Z","UpdatedAt":"2026-11-22T09:00:00.000001Z","Version":7}`
	if got := copiedUser + " " + got; got != want {
		t.Errorf("got  %s\nwant %s\nor another name", got, want)
	}
	var back userRow
	if err := sonic.UnmarshalString(got, &back); err != nil || back != row {
		t.Errorf("got %+v, %v, want %+v", back, err, row)
	}
}
