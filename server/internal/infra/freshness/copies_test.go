package freshness

import (
	"testing"
	"time"
)

// TestCopyCountsUntilItsKeyIsWritten follows a copy, and one whose maker is
// paused from before a write until long after it.
func TestCopyCountsUntilItsKeyIsWritten(t *testing.T) {
	t.Parallel()
	table, _ := open(t, time.Minute)
	prove := func() { table.mem.shard[0].publish(7, now()) }
	counts := func(s State) bool { return table.Counts(0, "a", s, time.Hour) }

	if _, ok := table.Current(0, "a"); ok {
		t.Error("a copy may be made though nothing is proven")
	}
	prove()
	first, ok := table.Current(0, "a")
	if !ok || !counts(first) {
		t.Fatal("a copy of what nobody writes does not count")
	}
	prove()
	if !counts(first) {
		t.Error("a copy stops to count by itself")
	}

	w := mustBegin(t, table, "a")
	prove()
	if counts(first) {
		t.Error("a copy counts while its key is written")
	}
	if _, ok := table.Current(0, "a"); ok {
		t.Error("a copy may be made while its key is written")
	}
	w.Done()
	if counts(first) {
		t.Error("a copy counts though its key was written")
	}
	if s, ok := table.Current(0, "a"); ok {
		t.Errorf("a copy may be made of a state (%+v) from before the write was proven", s)
	}
	<-time.After(2 * timeUnit * time.Microsecond)
	prove()
	if second, ok := table.Current(0, "a"); !ok || !counts(second) {
		t.Error("a copy from after the write does not count")
	}
	if counts(first) {
		t.Error("a copy counts again that was made before a write")
	}
}

// A write with an unknown outcome may still happen: until it is proven to be
// over, no copy can tell its end.
func TestNoCopyDuringAnUnknownOutcome(t *testing.T) {
	t.Parallel()
	table, _ := open(t, time.Minute)
	mustBegin(t, table, "a") // never Done
	table.mem.shard[0].publish(7, now().add(59*time.Second))
	if _, ok := table.Current(0, "a"); ok {
		t.Error("a copy may be made while a write may still happen")
	}
	table.mem.shard[0].publish(7, now().add(2*time.Minute))
	if s, ok := table.Current(0, "a"); !ok || !table.Counts(0, "a", s, time.Hour) {
		t.Error("no copy may be made though the write is over")
	}
}

func TestCopiesThatNeverCount(t *testing.T) {
	t.Parallel()
	table, _ := open(t, time.Minute)
	table.mem.shard[0].publish(7, now().add(-10*time.Second))
	good := State{table.mem.clock.Load(), int64(now().add(-10 * time.Second)), 0}
	table.floor = now()
	if table.Counts(0, "a", good, time.Hour) {
		t.Error("a copy counts from before the floor: a server before this one may have written since")
	}
	table.floor = 0
	if !table.Counts(0, "a", good, time.Hour) {
		t.Fatal("a sound copy does not count")
	}
	if table.Counts(0, "a", good, 5*time.Second) {
		t.Error("a copy counts that is too old")
	}
	if table.Counts(0, "a", State{}, time.Hour) {
		t.Error("a copy counts that is of no state")
	}
	of := good
	of.Clock++
	if table.Counts(0, "a", of, time.Hour) {
		t.Error("a copy counts that is of another table")
	}
	table.LearnEpoch(0, 2)
	if table.Counts(0, "a", good, time.Hour) {
		t.Error("a copy counts from before a promotion")
	}
	if s, ok := table.Current(0, "a"); !ok || s.Epoch != 2 {
		t.Errorf("got %+v, %t, want a state of the last promotion", s, ok)
	}
}
