package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
)

// fiveShards is a generator for the ring that everybody has.
func fiveShards(t *testing.T, seed uint64) *generator {
	t.Helper()
	names := []string{"shard-0", "shard-1", "shard-2", "shard-3", "shard-4"}
	ring, err := shard.NewRing(names)
	if err != nil {
		t.Fatal(err)
	}
	return &generator{seed: seed, chunkSize: chunkSize, owner: func(key string) int { return slices.Index(names, ring.Owner(key)) }}
}

func draw(g *generator, chunk, n int) []person {
	var list []person
	g.chunk(chunk, n, func(_, _ int, p person) { list = append(list, p) })
	return list
}

// TestUsersArePinned: who seeded a system with SEED=1 and adds to it a year later gets the same users, or has two kinds.
func TestUsersArePinned(t *testing.T) {
	t.Parallel()
	hash := sha256.New()
	for _, chunk := range []int{0, 1, 19} {
		for _, p := range draw(fiveShards(t, 1), chunk, 2000) {
			fmt.Fprintln(hash, p.id, p.name, p.email, p.token)
		}
	}
	const want = "94e9c38c896813a4e2c532ce364eb467afcd41973d9ea6550418551ac2e7b112"
	if got := hex.EncodeToString(hash.Sum(nil)); got != want {
		t.Errorf("the users of SEED=1 are others than before: got %s, want %s", got, want)
	}
}

// TestUsersAreAsTheServersOwn: nothing that the server would refuse or place elsewhere.
func TestUsersAreAsTheServersOwn(t *testing.T) {
	t.Parallel()
	g := fiveShards(t, 7)
	emails, names := map[string]bool{}, map[string]bool{}
	shards := make([]int, 5)
	var last person
	for _, chunk := range []int{0, 1, 2, 1000} {
		g.chunk(chunk, 5000, func(_, shard int, p person) {
			name, err := entities.ParseName(p.name)
			if err != nil || string(name) != p.name {
				t.Errorf("name %q: %v", p.name, err)
			}
			email, err := entities.ParseEmail(p.email)
			if err != nil || email.Key() != p.email {
				t.Errorf("e-mail %q: %v", p.email, err)
			}
			if g.owner(p.id.String()) != shard || g.owner(p.email) != shard {
				t.Errorf("%s and %s are not both of shard %d", p.id, p.email, shard)
			}
			if p.id.Version() != 7 || p.id.Variant().String() != "RFC4122" || p.token.Version() != 4 {
				t.Errorf("id %s, token %s: want versions 7 and 4", p.id, p.token)
			}
			if emails[p.email] {
				t.Errorf("%s twice", p.email)
			}
			if p.born.Before(last.born) || p.born.After(time.Now()) {
				t.Errorf("born %s after %s", p.born, last.born)
			}
			emails[p.email], names[p.name], last = true, true, p
			shards[shard]++
		})
	}
	if len(names) < 4000 {
		t.Errorf("%d users have %d different names, want thousands", len(emails), len(names))
	}
	for i, n := range shards {
		if n < 3400 || n > 4600 {
			t.Errorf("shard %d gets %d of 20,000 users", i, n)
		}
	}
}

func TestFewerUsersAreTheFirstOfMore(t *testing.T) {
	t.Parallel()
	few, more := draw(fiveShards(t, 3), 4, 100), draw(fiveShards(t, 3), 4, 1000)
	if !slices.Equal(few, more[:100]) {
		t.Error("the first 100 of 1000 users are not the 100 users")
	}
	if slices.Equal(few, draw(fiveShards(t, 4), 4, 100)) {
		t.Error("two seeds give the same users")
	}
}

// TestTagsDiffer over the whole range: a factor that is no bijection would show at its powers of two.
func TestTagsDiffer(t *testing.T) {
	t.Parallel()
	g := generator{seed: 12}
	seen := map[string]uint64{}
	for bit := range 33 {
		for offset := range uint64(1000) {
			index := uint64(1)<<bit + offset
			tag := g.tag(index)
			if other, found := seen[tag]; found && other != index || len(tag) != tagLength || strings.ToLower(tag) != tag {
				t.Fatalf("tag %q of %d is also %d's, or no tag", tag, index, other)
			}
			seen[tag] = index
		}
	}
	if maxUsers >= 1<<tagBits {
		t.Error("more users than tags")
	}
}
