package shard

import (
	"strings"
	"testing"
)

var five = []string{"shard-0", "shard-1", "shard-2", "shard-3", "shard-4"}

// The checksum is stored in every shard: if it changes, no server starts on the data there is.
func TestRingChecksumIsPinned(t *testing.T) {
	t.Parallel()
	list, err := Identities(five)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := list[3], (Identity{"shard-3", 3, 5, 4096, "d770e5ce07e907e690d4c3908b4f9e1c"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestIdentityMatch(t *testing.T) {
	t.Parallel()
	list, err := Identities(five)
	if err != nil {
		t.Fatal(err)
	}
	three, err := Identities(five[:3])
	if err != nil {
		t.Fatal(err)
	}
	otherRing := list[0]
	otherRing.RingChecksum = "another"
	for _, test := range []struct {
		name        string
		want, found Identity
		message     string // empty: they match
	}{
		{"same", list[2], list[2], ""},
		{"swapped", list[1], list[2], "shard-1 was expected, and shard-2 was found"},
		{"count", three[0], list[0], "placed over 5 shards, the settings say 3"},
		{"ring", list[0], otherRing, "checksum another"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := test.want.Match(test.found)
			if test.message == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.message) {
				t.Errorf("got %v, want %q in it", err, test.message)
			}
		})
	}
}
