package freshness

import (
	"slices"
	"sync"
	"testing"
	"time"
)

// TestCounts are seen whole, as one process has kept them, by every other.
func TestCounts(t *testing.T) {
	t.Parallel()
	const shards = 5
	one, f, err := Create(shards, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	other, err := Attach(f, shards)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, ok := other.LastCounts(); ok {
		t.Error("there are counts before anybody has counted")
	}
	begun := time.Now().Add(-3 * time.Second)
	want := []Count{{0, false}, {7, true}, {1 << 40, false}, {3, true}, {4, false}}
	one.KeepCounts(want, begun)
	got, at, age, ok := other.LastCounts()
	if !ok || !slices.Equal(got, want) || !at.Equal(begun.Truncate(time.Microsecond)) || age < 3*time.Second {
		t.Errorf("got %v of %s, %s ago, %t; want %v of %s", got, at, age, ok, want, begun)
	}

	var wg sync.WaitGroup
	for _, table := range []*Table{one, other} {
		wg.Go(func() {
			for n := range int64(20_000) {
				table.KeepCounts(slices.Repeat([]Count{{N: n}}, shards), begun)
			}
		})
		wg.Go(func() {
			for range 20_000 {
				if got, _, _, ok := table.LastCounts(); ok && got[0].N != want[0].N && slices.ContainsFunc(got, func(c Count) bool { return c != got[0] }) {
					t.Errorf("a mixture was seen: %v", got)
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestMayCount tells one at a time, and another after one that failed.
func TestMayCount(t *testing.T) {
	t.Parallel()
	table, err := CreatePrivate(1, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if !table.MayCount(time.Hour) || table.MayCount(time.Hour) {
		t.Error("want one, not two, to count")
	}
	table.KeepCounts([]Count{{N: 1}}, time.Now())
	if !table.MayCount(-time.Second) || !table.MayCount(time.Hour) {
		t.Error("want another to count, after the first has, or has had its time")
	}
}
