package shard

import (
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/google/uuid"
)

func names(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("shard-%d", i)
	}
	return list
}

func mustRing(t testing.TB, names []string) *Ring {
	t.Helper()
	r, err := NewRing(names)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRingPlacement pins where keys live. Placement is a storage format: if
// this test fails, stored users are no longer found. Never change its table.
func TestRingPlacement(t *testing.T) {
	t.Parallel()
	r := mustRing(t, names(5))
	for key, want := range placement {
		if got := r.Owner(key); got != want {
			t.Errorf("Owner(%q) = %s, want %s", key, got, want)
		}
	}
}

// TestRingAgreesWithItsDescription finds owners by the definition in Ring's
// comment, by looking at every virtual node.
func TestRingAgreesWithItsDescription(t *testing.T) {
	t.Parallel()
	hash := func(s string) uint64 {
		sum := md5.Sum([]byte(s))
		return binary.BigEndian.Uint64(sum[:8])
	}
	r := mustRing(t, names(3))
	for range 20 {
		key := uuid.NewString()
		var owner string
		least := uint64(math.MaxUint64) // distance going up from the key, around the end
		for _, name := range names(3) {
			for i := range VirtualNodes {
				if d := hash(name+"#"+strconv.Itoa(i)) - hash(key); d <= least {
					owner, least = name, d
				}
			}
		}
		if got := r.Owner(key); got != owner {
			t.Errorf("Owner(%q) = %s, want %s", key, got, owner)
		}
	}
}

// TestRingBalance measures the arcs themselves, not a sample of keys.
func TestRingBalance(t *testing.T) {
	t.Parallel()
	r := mustRing(t, names(5))
	arcs := make([]float64, 5)
	for i, p := range r.points {
		previous := r.points[(i+len(r.points)-1)%len(r.points)]
		arcs[r.owners[i]] += float64(p - previous) // wraps at the first point
	}
	for owner, arc := range arcs {
		share := arc / math.Exp2(64) * 5
		t.Logf("%s owns %.4f of its fair share", r.names[owner], share)
		if share < 0.97 || share > 1.03 {
			t.Errorf("%s owns %.4f of its fair share, want 0.97 to 1.03", r.names[owner], share)
		}
	}
}

// TestRingGrowth proves that a new shard takes its part and moves nothing else.
func TestRingGrowth(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 5} {
		before, after := mustRing(t, names(n)), mustRing(t, names(n+1))
		added := fmt.Sprintf("shard-%d", n)
		const keys = 20_000
		moved := 0
		for range keys {
			key := uuid.NewString()
			was, is := before.Owner(key), after.Owner(key)
			if was == is {
				continue
			}
			moved++
			if is != added {
				t.Fatalf("%d to %d shards: %q moved from %s to %s", n, n+1, key, was, is)
			}
		}
		fair := float64(keys) / float64(n+1)
		if got := float64(moved); got < 0.9*fair || got > 1.1*fair {
			t.Errorf("%d to %d shards: %d keys moved, want about %.0f", n, n+1, moved, fair)
		}
	}
}

func TestRingOrderDoesNotMatter(t *testing.T) {
	t.Parallel()
	list := names(12)
	want := mustRing(t, list)
	for range 5 {
		rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		got := mustRing(t, list)
		for range 1000 {
			if key := uuid.NewString(); got.Owner(key) != want.Owner(key) {
				t.Fatalf("%q is owned by %s or %s, after the order of the names", key, got.Owner(key), want.Owner(key))
			}
		}
	}
}

func TestRingRefuses(t *testing.T) {
	t.Parallel()
	for _, list := range [][]string{nil, {"a", "b", "a"}, make([]string, 257)} {
		if _, err := NewRing(list); err == nil {
			t.Errorf("NewRing(%d names) succeeded, want an error", len(list))
		}
	}
}

func TestOwnerDoesNotAllocate(t *testing.T) {
	r := mustRing(t, names(5)) // not parallel: AllocsPerRun counts the whole process
	for _, key := range []string{uuid.NewString(), "ada@example.com", string(make([]byte, 254))} {
		if allocs := testing.AllocsPerRun(100, func() { r.Owner(key) }); allocs != 0 {
			t.Errorf("Owner of a key of %d bytes allocates %g times, want 0", len(key), allocs)
		}
	}
}

func FuzzOwner(f *testing.F) {
	for key := range placement {
		f.Add(key)
	}
	f.Add("")
	five, six := mustRing(f, names(5)), mustRing(f, names(6))
	again := mustRing(f, names(5))
	f.Fuzz(func(t *testing.T, key string) {
		owner := five.Owner(key)
		if !slices.Contains(five.names, owner) || again.Owner(key) != owner {
			t.Errorf("Owner(%q) = %s, then %s", key, owner, again.Owner(key))
		}
		if moved := six.Owner(key); moved != owner && moved != "shard-5" {
			t.Errorf("a sixth shard moves %q from %s to %s", key, owner, moved)
		}
	})
}
