package repositoriestest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
)

func mustPage(t testing.TB, limit, offset int) entities.Page {
	t.Helper()
	p, err := entities.NewPage(limit, offset)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func mustList(t testing.TB, s Setup, p entities.Page) entities.List {
	t.Helper()
	list, err := s.Store.ListAcross(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if list.Missing != nil {
		t.Errorf("the list lacks %v, and nobody was lenient", list.Missing)
	}
	return list
}

// mustGoOn returns the page after a list's, which has one.
func mustGoOn(t testing.TB, s Setup, list entities.List, limit int) entities.List {
	t.Helper()
	p, err := entities.NewPageAfter(limit, *list.Next)
	if err != nil {
		t.Fatal(err)
	}
	next := mustList(t, s, p)
	if next.AsOf != list.AsOf {
		t.Errorf("a page is as of %s, the page before was as of %s", next.AsOf, list.AsOf)
	}
	return next
}

// createMany creates users and returns them newest first.
func createMany(t testing.TB, s Setup, total int) []entities.User {
	t.Helper()
	users := make([]entities.User, total)
	for i := range users {
		users[total-1-i] = mustCreate(t, s, fmt.Sprintf("user%d@example.com", i), epoch)
	}
	s.Settle(t)
	return users
}

func testList(t *testing.T, s Setup) {
	if empty := mustList(t, s, mustPage(t, 1, 0)); len(empty.Users) != 0 || empty.Next != nil {
		t.Errorf("without users: got %+v", empty)
	}
	const total = 25
	want := createMany(t, s, total)
	for _, limit := range []int{1, 7, 24, 25, 100} {
		for offset := 0; offset <= total+limit; offset += limit {
			list := mustList(t, s, mustPage(t, limit, offset))
			from, to := min(offset, total), min(offset+limit, total)
			if !slices.Equal(list.Users, want[from:to]) {
				t.Errorf("limit %d, offset %d: got %d users, want users %d to %d", limit, offset, len(list.Users), from, to)
			}
			if more := list.Next != nil; more != (to < total) {
				t.Errorf("limit %d, offset %d: more = %t, want %t", limit, offset, more, to < total)
			}
		}
	}
}

func testWalk(t *testing.T, s Setup) {
	const total = 25
	want := createMany(t, s, total)
	for _, limit := range []int{1, 7, 24, 25, 100} {
		for _, offset := range []int{0, 5, total} {
			list := mustList(t, s, mustPage(t, limit, offset))
			if age := time.Since(list.AsOf); age < 0 || age > time.Minute {
				t.Errorf("limit %d: the walk is as of %s ago", limit, age)
			}
			got := list.Users
			for list.Next != nil {
				if len(list.Users) != limit {
					t.Fatalf("limit %d, offset %d: a page of %d users, and more to come", limit, offset, len(list.Users))
				}
				list = mustGoOn(t, s, list, limit)
				got = append(got, list.Users...)
			}
			if !slices.Equal(got, want[offset:]) {
				t.Errorf("limit %d, offset %d: got %d users, want %d", limit, offset, len(got), total-offset)
			}
		}
	}
}

// testWalkThroughChanges has users come and go, and change, between the pages,
// those among them whom the cursor stands at and whom it comes to next.
func testWalkThroughChanges(t *testing.T, s Setup) {
	const total, changes = 40, 20
	all := createMany(t, s, total)
	stay := map[uuid.UUID]bool{}
	for _, u := range all {
		stay[u.ID] = true
	}
	there := slices.Clone(all)
	remove := func(i int) {
		if err := s.Store.Delete(t.Context(), there[i].ID, nil); err != nil {
			t.Fatal(err)
		}
		delete(stay, there[i].ID)
		there = slices.Delete(there, i, i+1)
	}
	after := func(id uuid.UUID) int { // whom the cursor comes to next
		return slices.IndexFunc(there, func(u entities.User) bool { return slices.Compare(u.ID[:], id[:]) < 0 })
	}
	seen := map[uuid.UUID]int{}
	list := mustList(t, s, mustPage(t, 1, 0))
	for pages := 1; ; pages++ {
		for _, u := range list.Users {
			seen[u.ID]++
		}
		if list.Next == nil {
			break
		}
		last := list.Next.After
		if pages < changes {
			there = slices.Insert(there, 0, mustCreate(t, s, fmt.Sprintf("late%d@example.com", pages), epoch))
			switch at := slices.IndexFunc(there, func(u entities.User) bool { return u.ID == last }); pages % 4 {
			case 0:
				remove(at)
			case 1:
				if next := after(last); next >= 0 {
					remove(next)
				}
			case 2:
				remove(len(there) / 2)
			case 3:
				name := entities.Name(fmt.Sprintf("Changed %d", pages))
				if _, err := s.Store.Update(t.Context(), there[len(there)-1].ID, entities.Changes{Name: &name}, nil, epoch); err != nil {
					t.Fatal(err)
				}
			}
			s.Settle(t)
		}
		list = mustGoOn(t, s, list, 1+pages%3) // a walk may change its pace
	}
	for id := range stay {
		if seen[id] != 1 {
			t.Errorf("user %s was there all the time and was seen %d times", id, seen[id])
		}
	}
	for id, times := range seen {
		if times > 1 {
			t.Errorf("user %s was seen %d times", id, times)
		}
	}
}
