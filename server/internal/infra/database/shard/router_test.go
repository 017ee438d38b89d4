package shard

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// openNowhere returns a Router of n shards whose servers do not exist. Nothing
// connects before it is asked to.
func openNowhere(t testing.TB, n int) *Router {
	t.Helper()
	conn, err := pgx.ParseConfig("postgres://u:p@127.0.0.1:1/db?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	nodes := make([]Node, n)
	for i, name := range names(n) {
		nodes[i] = Node{Name: name, Primary: conn, Replica: conn}
	}
	r, err := NewRouter(nodes, Limits{WriteOpen: 7, WriteIdle: 3, ReadOpen: 5, ReadIdle: 2, ReadTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func TestRouterFollowsTheRing(t *testing.T) {
	t.Parallel()
	r := openNowhere(t, 5)
	for key, want := range placement {
		if got := r.For(key).Name; got != want {
			t.Errorf("For(%q) = %s, want %s", key, got, want)
		}
	}
	if got := openNowhere(t, 1).For("anything").Name; got != "shard-0" {
		t.Errorf("the only shard is %s, want shard-0", got)
	}
}

func TestNewIDIsBornBesideItsKey(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 5, 64} {
		r := openNowhere(t, n)
		for range 50 {
			key := uuid.NewString() + "@example.com"
			id, err := r.NewID(key, uuid.NewV7)
			if err != nil {
				t.Fatal(err)
			}
			if r.For(id.String()) != r.For(key) || id.Version() != 7 {
				t.Fatalf("%d shards: %s (version %d) is not born beside %s", n, id, id.Version(), key)
			}
		}
	}
	dry := errors.New("no entropy")
	if _, err := openNowhere(t, 5).NewID("x", func() (uuid.UUID, error) { return uuid.Nil, dry }); !errors.Is(err, dry) {
		t.Errorf("got %v, want %v", err, dry)
	}
}

func TestProbeOfNobody(t *testing.T) {
	t.Parallel()
	found := openNowhere(t, 3).Probe(t.Context(), time.Second)
	if len(found) != 3 {
		t.Fatalf("found %d shards, want 3", len(found))
	}
	for _, h := range found {
		if h.Status() != "unavailable" || h.Primary.Fault != "cannot be connected to" || h.Replica.Fault != "cannot be connected to" {
			t.Errorf("found %+v, replica %+v; want both servers not connected to", h, h.Replica)
		}
	}
}

func TestFaultsAreOurWords(t *testing.T) {
	t.Parallel()
	for _, err := range []error{context.DeadlineExceeded, errors.New("FATAL: secret"), context.Canceled} {
		if got := fault(err); strings.Contains(got, "secret") || got == "" {
			t.Errorf("fault(%v) = %q", err, got)
		}
	}
}

func TestSlotName(t *testing.T) {
	t.Parallel()
	if got, want := SlotName("shard-12"), "shard_12_replica"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
