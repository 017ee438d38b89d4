// Command apiclient lives the life of a user with a client that oapi-codegen
// has made of the API's document. A test copies this folder, generates
// client.gen.go from the /openapi.json of a running server, builds the program and runs
// it. (The generated 8,000 lines are kept nowhere: nobody would read them.)
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"time"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: apiclient URL")
		os.Exit(2)
	}
	if err := run(context.Background(), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "apiclient:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	api, err := NewClientWithResponses(url)
	if err != nil {
		return err
	}
	for _, step := range []struct {
		name string
		do   func(context.Context, *ClientWithResponses) error
	}{
		{"the life of a user", life},
		{"a repeated create", repeat},
		{"a walk by cursor", walk},
		{"the state of the shards", state},
	} {
		if err := step.do(ctx, api); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		fmt.Println("ok:", step.name)
	}
	return nil
}

// life creates a user, reads, finds, changes and deletes it, and is refused
// what the contract refuses.
func life(ctx context.Context, api *ClientWithResponses) error {
	created, err := api.CreateUserWithResponse(ctx, nil, NewUser{Name: " Grace Hopper ", Email: "grace@example.com"})
	if err != nil {
		return err
	}
	user, headers := created.JSON201, created.Headers201
	if user == nil || user.Name != "Grace Hopper" || headers.Location != "/api/v1/users/"+user.Id.String() {
		return fmt.Errorf("create: got %s %s", created.Status(), created.Body)
	}
	taken, err := api.CreateUserWithResponse(ctx, nil, NewUser{Name: "Another", Email: "GRACE@example.com"})
	if err != nil {
		return err
	}
	if p := taken.ApplicationproblemJSON409; p == nil || p.Type != "/problems/email-taken" {
		return fmt.Errorf("create with a taken address: got %s %s", taken.Status(), taken.Body)
	}
	invalid, err := api.CreateUserWithResponse(ctx, nil, NewUser{Name: "", Email: "nobody"})
	if err != nil {
		return err
	}
	if p := invalid.ApplicationproblemJSON400; p == nil || p.Errors == nil || len(*p.Errors) != 2 {
		return fmt.Errorf("create of nothing: got %s %s", invalid.Status(), invalid.Body)
	}

	read, err := api.GetUserWithResponse(ctx, user.Id, nil)
	if err != nil {
		return err
	}
	if read.JSON200 == nil || *read.JSON200 != *user || read.Headers200.ETag != headers.ETag {
		return fmt.Errorf("read: got %s %s, want %+v", read.Status(), read.Body, *user)
	}
	unchanged, err := api.GetUserWithResponse(ctx, user.Id, &GetUserParams{IfNoneMatch: &headers.ETag})
	if err != nil {
		return err
	}
	if unchanged.StatusCode() != http.StatusNotModified || unchanged.Headers304.ETag != headers.ETag {
		return fmt.Errorf("read what is known: got %s", unchanged.Status())
	}
	email := string(user.Email)
	found, err := api.ListUsersWithResponse(ctx, &ListUsersParams{Email: &email})
	if err != nil {
		return err
	}
	if found.JSON200 == nil || len(*found.JSON200) != 1 || (*found.JSON200)[0] != *user {
		return fmt.Errorf("find: got %s %s", found.Status(), found.Body)
	}

	name := "Admiral Hopper"
	updated, err := api.UpdateUserWithResponse(ctx, user.Id, &UpdateUserParams{IfMatch: &headers.ETag}, UserChanges{Name: &name})
	if err != nil {
		return err
	}
	if now := updated.JSON200; now == nil || now.Name != name || now.Email != user.Email || updated.Headers200.ETag == headers.ETag {
		return fmt.Errorf("update: got %s %s", updated.Status(), updated.Body)
	}
	late, err := api.UpdateUserWithResponse(ctx, user.Id, &UpdateUserParams{IfMatch: &headers.ETag}, UserChanges{Name: &name})
	if err != nil {
		return err
	}
	if p := late.ApplicationproblemJSON412; p == nil || p.Type != "/problems/version-changed" {
		return fmt.Errorf("update of an old version: got %s %s", late.Status(), late.Body)
	}

	deleted, err := api.DeleteUserWithResponse(ctx, user.Id, &DeleteUserParams{IfMatch: &updated.Headers200.ETag})
	if err != nil {
		return err
	}
	if deleted.StatusCode() != http.StatusNoContent {
		return fmt.Errorf("delete: got %s %s", deleted.Status(), deleted.Body)
	}
	gone, err := api.GetUserWithResponse(ctx, user.Id, nil)
	if err != nil {
		return err
	}
	if p := gone.ApplicationproblemJSON404; p == nil || p.Type != "/problems/user-not-found" {
		return fmt.Errorf("read what is deleted: got %s %s", gone.Status(), gone.Body)
	}
	return nil
}

// repeat sends one create twice, and another under its key.
func repeat(ctx context.Context, api *ClientWithResponses) error {
	key := IdempotencyKey("apiclient-1")
	ada := NewUser{Name: "Ada", Email: "ada@example.com"}
	var first *User
	for range 2 {
		res, err := api.CreateUserWithResponse(ctx, &CreateUserParams{IdempotencyKey: &key}, ada)
		if err != nil {
			return err
		}
		switch {
		case res.JSON201 == nil:
			return fmt.Errorf("create: got %s %s", res.Status(), res.Body)
		case first == nil:
			first = res.JSON201
		case *res.JSON201 != *first || res.Headers201.IdempotencyReplayed == nil:
			return fmt.Errorf("again: got %s %s, want %+v replayed", res.Status(), res.Body, *first)
		}
	}
	ada.Name = "Augusta"
	res, err := api.CreateUserWithResponse(ctx, &CreateUserParams{IdempotencyKey: &key}, ada)
	if err != nil {
		return err
	}
	if p := res.ApplicationproblemJSON422; p == nil || p.Type != "/problems/idempotency-key-reused" {
		return fmt.Errorf("another body: got %s %s", res.Status(), res.Body)
	}
	return nil
}

// cursor is where a Link leads.
var cursor = regexp.MustCompile(`[?&]cursor=([^&>]+)[^>]*>; rel="next"`)

// walk reads a list of seven users, two a page.
func walk(ctx context.Context, api *ClientWithResponses) error {
	var want []string
	for i := range 6 { // and Ada
		email := fmt.Sprintf("user%d@example.com", i)
		res, err := api.CreateUserWithResponse(ctx, nil, NewUser{Name: "User", Email: email})
		if err != nil {
			return err
		}
		if res.JSON201 == nil {
			return fmt.Errorf("create: got %s %s", res.Status(), res.Body)
		}
		want = append(want, email)
	}
	want = append([]string{"ada@example.com"}, want...)
	slices.Reverse(want)

	limit, strong := 2, ListUsersParamsConsistency("strong")
	params := &ListUsersParams{Limit: &limit, Consistency: &strong}
	var got []string
	for range len(want) {
		page, err := api.ListUsersWithResponse(ctx, params)
		if err != nil {
			return err
		}
		if page.JSON200 == nil {
			return fmt.Errorf("page: got %s %s", page.Status(), page.Body)
		}
		for _, u := range *page.JSON200 {
			got = append(got, string(u.Email))
		}
		if page.Headers200.Link == nil {
			break
		}
		next := cursor.FindStringSubmatch(*page.Headers200.Link)
		if next == nil {
			break
		}
		params.Cursor = &next[1]
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("got %v, want %v", got, want)
	}
	return nil
}

func state(ctx context.Context, api *ClientWithResponses) error {
	health, err := api.HealthWithResponse(ctx, nil)
	if err != nil {
		return err
	}
	if health.JSON200 == nil || health.JSON200.Status != "ok" || len(health.JSON200.Shards) == 0 {
		return fmt.Errorf("health: got %s %s", health.Status(), health.Body)
	}
	stats, err := api.ShardStatsWithResponse(ctx, nil)
	if err != nil {
		return err
	}
	if stats.JSON200 == nil || len(stats.JSON200.Shards) != stats.JSON200.ShardCount {
		return fmt.Errorf("stats: got %s %s", stats.Status(), stats.Body)
	}
	explained, err := api.ProblemTypeWithResponse(ctx, "email-taken", nil, func(_ context.Context, req *http.Request) error {
		req.Header.Set("Accept", "application/json")
		return nil
	})
	if err != nil {
		return err
	}
	if explained.JSON200 == nil || explained.JSON200.Status != http.StatusConflict {
		return errors.New("the problem email-taken is not explained: " + explained.Status())
	}
	return nil
}
