package main

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/problems"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// TestAmbiguousCommit loses the primary's answer to a create that it has done.
// The client is told that nobody knows, and the server does not try again by
// itself. Under an Idempotency-Key the client may, and gets the one user there is.
func TestAmbiguousCommit(t *testing.T) {
	cfg := testcluster.Open(t)
	var settings []string
	proxies := make([]*testcluster.Proxy, len(cfg.Shards))
	for i, s := range cfg.Shards {
		proxies[i] = testcluster.NewProxy(t, s.Pooler)
		settings = append(settings, "SHARD_"+string(rune('0'+i))+"_WRITE_ADDR="+proxies[i].Addr)
	}
	s := start(t, settings...)
	ring, err := shard.NewRing(shardNames(cfg))
	if err != nil {
		t.Fatal(err)
	}
	const statement = "create_user" // of both, with a key and without
	sent := func() (n int) {
		for _, proxy := range proxies {
			for _, conn := range proxy.Messages() {
				for _, m := range conn {
					if m.Type == 'P' && strings.Contains(m.Strings[1], statement) {
						n++
					}
				}
			}
		}
		return n
	}
	lose := func(text string) {
		for _, proxy := range proxies {
			proxy.LoseAnswers(text)
		}
	}
	post := func(email, key string) (int, []byte) {
		t.Helper()
		req, err := http.NewRequest(http.MethodPost, s.url+"/api/v1/users/", strings.NewReader(createBody("Ada", email)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		if key != "" {
			req.Header.Set("Idempotency-Key", key)
		}
		res, err := s.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var body json.RawMessage
		if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, body
	}
	stored := func(email string) []string {
		t.Helper()
		i := slices.Index(shardNames(cfg), ring.Owner(email))
		return testcluster.MustQuery[string](t, testcluster.Primary(t, cfg, i), "SELECT id::text FROM users WHERE email = $1", email)
	}

	for _, test := range []struct{ name, email, key string }{
		{"without a key", "ambiguous@example.com", ""},
		{"with a key", "repeated@example.com", "0190a6b4-5b2e-7c3f-8f4e-1d2c3b4a5968"},
	} {
		t.Run(name(test.name), func(t *testing.T) {
			before := sent()
			lose(statement)
			status, body := post(test.email, test.key)
			lose("")
			var problem problems.Body
			if err := json.Unmarshal(body, &problem); err != nil {
				t.Fatal(err)
			}
			if status != http.StatusServiceUnavailable || problem.Type != problems.OutcomeUnknown.URL() || !slices.Equal(problem.Shards, []string{ring.Owner(test.email)}) {
				t.Errorf("got %d %s, want the outcome unknown on %s", status, body, ring.Owner(test.email))
			}
			if n := sent() - before; n != 1 {
				t.Errorf("the create was sent %d times, want once", n)
			}
			ids := stored(test.email)
			if len(ids) != 1 {
				t.Fatalf("%d users were created, want 1: else this shows nothing", len(ids))
			}

			want := 409 // somebody has the address, perhaps this client
			if test.key != "" {
				want = 201
			}
			status, body = post(test.email, test.key)
			if status != want {
				t.Fatalf("again: got %d %s, want %d", status, body, want)
			}
			if want == 201 {
				var u user
				if err := json.Unmarshal(body, &u); err != nil || u.ID != ids[0] {
					t.Errorf("again: got %s, %v; want the user %s", body, err, ids[0])
				}
			}
			if again := stored(test.email); !slices.Equal(again, ids) {
				t.Errorf("users %v, want %v", again, ids)
			}
		})
	}
}
