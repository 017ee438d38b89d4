package routes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/repositories"
)

const listPath = "/api/v1/users/"

// create creates so many users, whose names are their numbers.
func (b *bundle) create(t testing.TB, users int) {
	t.Helper()
	for i := range users {
		if got := b.send(t, "POST", listPath, fmt.Sprintf(`{"name":"%d","email":"u%d@example.com"}`, i, i)); got.status != 201 {
			t.Fatalf("got %d %s", got.status, got.body)
		}
	}
}

var nextLink = regexp.MustCompile(`<([^>]*)>; rel="next"`)

// next is where the answer's Link leads to the next page, "" if nowhere.
func (a answer) next() string {
	match := nextLink.FindStringSubmatch(a.header.Get("Link"))
	if match == nil {
		return ""
	}
	return match[1]
}

func (a answer) names(t testing.TB) (names []string) {
	t.Helper()
	var users []struct{ Name string }
	if err := json.Unmarshal([]byte(a.body), &users); err != nil {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	for _, u := range users {
		names = append(names, u.Name)
	}
	return names
}

func TestLinks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(t, 4)
	const next = `<CURSOR>; rel="next"`
	cursor := regexp.MustCompile(`/api/v1/users/\?limit=[0-9]+&cursor=[-_A-Za-z0-9]{76}`)
	for query, want := range map[string]string{
		"":                  "",
		"?limit=5":          "",
		"?limit=2":          next,
		"?limit=2&offset=1": next + `, </api/v1/users/?limit=2&offset=0>; rel="prev"`,
		"?limit=2&offset=3": `</api/v1/users/?limit=2&offset=1>; rel="prev"`,
		"?offset=9":         `</api/v1/users/?limit=20&offset=0>; rel="prev"`,
		"?offset=10000":     `</api/v1/users/?limit=20&offset=9980>; rel="prev"`,
	} {
		got := b.send(t, "GET", listPath+query, "").header.Get("Link")
		if got = cursor.ReplaceAllString(got, "CURSOR"); got != want {
			t.Errorf("%q: Link = %s, want %s", query, got, want)
		}
	}
}

// TestWalk follows the Links, from the first page and from one by offset.
func TestWalk(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(t, 9)
	want := []string{"8", "7", "6", "5", "4", "3", "2", "1", "0", "Ada"}
	for _, test := range []struct{ limit, offset int }{{1, 0}, {3, 0}, {9, 0}, {10, 0}, {3, 4}} {
		page := b.send(t, "GET", fmt.Sprintf("%s?limit=%d&offset=%d", listPath, test.limit, test.offset), "")
		asOf := page.header.Get("As-Of")
		if at, err := time.Parse(time.RFC3339Nano, asOf); err != nil || time.Since(at) < 0 || time.Since(at) > time.Minute {
			t.Errorf("As-Of: %q, %v", asOf, err)
		}
		got := page.names(t)
		for page.next() != "" {
			page = b.send(t, "GET", page.next(), "")
			if page.header.Get("As-Of") != asOf || strings.Contains(page.header.Get("Link"), "prev") {
				t.Errorf("got %v, want the As-Of of the first page, %s, and no way back", page.header, asOf)
			}
			got = append(got, page.names(t)...)
		}
		if !slices.Equal(got, want[test.offset:]) {
			t.Errorf("%+v: got %v, want %v", test, got, want[test.offset:])
		}
	}
}

// TestWalkWhileUsersComeAndGo has random requests between the pages of a random
// pace. Who was there all the time is seen once, nobody twice.
func TestWalkWhileUsersComeAndGo(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		b := setup(t)
		stay, serial := map[string]string{"Ada": adaID.String()}, 0 // name → id
		var all []string                                            // names
		create := func() (name string) {
			name = fmt.Sprint(serial)
			serial++
			var u struct{ ID string }
			got := b.send(t, "POST", listPath, fmt.Sprintf(`{"name":%q,"email":"u%s@example.com"}`, name, name))
			if err := json.Unmarshal([]byte(got.body), &u); err != nil || got.status != 201 {
				rt.Fatalf("%d %s", got.status, got.body)
			}
			stay[name] = u.ID
			return name
		}
		for range rapid.IntRange(0, 20).Draw(rt, "users") {
			all = append(all, create())
		}
		seen := map[string]int{}
		for next := listPath + "?limit=" + fmt.Sprint(rapid.IntRange(1, 5).Draw(rt, "limit")); next != ""; {
			page := b.send(t, "GET", next, "")
			for _, name := range page.names(t) {
				seen[name]++
			}
			if next = page.next(); next == "" {
				break
			}
			if rapid.Bool().Draw(rt, "another limit") {
				next = regexp.MustCompile("limit=[0-9]+").ReplaceAllString(next, "limit="+fmt.Sprint(rapid.IntRange(1, 5).Draw(rt, "limit")))
			}
			for range rapid.IntRange(0, 2).Draw(rt, "come") {
				delete(stay, create()) // it may be seen or not
			}
			for range rapid.IntRange(0, 2).Draw(rt, "go") {
				if len(all) == 0 {
					break
				}
				i := rapid.IntRange(0, len(all)-1).Draw(rt, "who")
				if got := b.send(t, "DELETE", listPath+stay[all[i]], ""); got.status != 204 {
					rt.Fatalf("%d %s", got.status, got.body)
				}
				delete(stay, all[i])
				all = slices.Delete(all, i, i+1)
			}
		}
		for name := range stay {
			if seen[name] != 1 {
				rt.Fatalf("%s was there all the time and was seen %d times", name, seen[name])
			}
		}
		for name, times := range seen {
			if times > 1 {
				rt.Fatalf("%s was seen %d times", name, times)
			}
		}
	})
}

func TestBadCursors(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(t, 4)
	good := b.send(t, "GET", listPath+"?limit=2", "").next()
	link, err := url.Parse(good)
	if err != nil {
		t.Fatal(err)
	}
	cursor := link.Query().Get("cursor")
	for query, want := range map[string]int{
		"?cursor=" + cursor:                       200,
		"?limit=100&cursor=" + cursor:             200, // the pace may change
		"?limit=101&cursor=" + cursor:             400,
		"?offset=0&cursor=" + cursor:              400,
		"?cursor=":                                400,
		"?cursor=" + cursor[1:]:                   400,
		"?cursor=" + cursor + "A":                 400,
		"?cursor=" + cursor + "%0A":               400,
		"?cursor=B" + cursor[1:]:                  400,
		"?email=ada@example.com&cursor=" + cursor: 400,
	} {
		got := b.send(t, "GET", listPath+query, "")
		if got.status != want {
			t.Errorf("%s: got %d %s, want %d", query, got.status, got.body, want)
		}
		if strings.HasPrefix(query, "?cursor") && want == 400 && !strings.Contains(got.body, "start again with the first page") {
			t.Errorf("%s: %s does not say what to do", query, got.body)
		}
	}
}

// TestGaps has a shard not answer.
func TestGaps(t *testing.T) {
	t.Parallel()
	down := &entities.Error{Kind: entities.Unavailable, Message: "shard-3 does not answer", Err: errors.New("refused")}
	for _, path := range []string{"/api/v1/users", "/api/v1/shards/stats"} {
		b := setup(t)
		b.storage.missing = func(ctx context.Context) ([]string, error) {
			if repositories.IsLenient(ctx) {
				return []string{"shard-3", "shard-4"}, nil
			}
			return nil, down
		}
		strict := b.send(t, "GET", path, "", "Prefer", "handling=strict")
		if strict.status != 503 || !strings.Contains(strict.body, "shard-3 does not answer") || strict.header.Get("Retry-After") == "" {
			t.Errorf("%s: got %d %s, want a 503 that names the shard", path, strict.status, strict.body)
		}
		lenient := b.send(t, "GET", path, "", "Prefer", "wait=10, handling=lenient")
		if lenient.status != 200 || lenient.header.Get("Missing-Shards") != "shard-3, shard-4" || lenient.header.Get("Preference-Applied") != "handling=lenient" {
			t.Errorf("%s, leniently: got %d %s %v, want 200 that names what is missing", path, lenient.status, lenient.body, lenient.header)
		}
		if strings.Contains(path, "stats") && !strings.Contains(lenient.body, `"total_users":1,"shard_count":3,`) {
			t.Errorf("%s: got %s, want the shards that are missing counted as shards", path, lenient.body)
		}
		for _, got := range []answer{strict, lenient} {
			if vary := got.header.Get("Vary"); vary != "Prefer, Consistency" {
				t.Errorf("%s: Vary: %q", path, vary)
			}
		}

		b.storage.missing = nil
		whole := b.send(t, "GET", path, "", "Prefer", "handling=lenient", "Consistency", "strong")
		if _, gaps := whole.header["Missing-Shards"]; whole.status != 200 || gaps || whole.header.Get("Preference-Applied") != "handling=lenient" {
			t.Errorf("%s, leniently, with all shards: got %d %s %v", path, whole.status, whole.body, whole.header)
		}
	}
}
