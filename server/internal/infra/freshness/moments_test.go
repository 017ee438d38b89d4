package freshness

import (
	"testing"
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
)

func TestMayReadSince(t *testing.T) {
	t.Parallel()
	table, _ := open(t, time.Minute)
	if _, _, ok := table.MayReadSince(0, entities.Moment{}); ok {
		t.Error("a replica nobody has asked may be read")
	}
	s := &table.mem.shard[0]
	s.publish(5, 0) // another life, of which nothing is proven
	if _, _, ok := table.MayReadSince(0, entities.Moment{}); ok {
		t.Error("a replica of which nothing is proven may be read")
	}
	s.publish(5, 10*timeUnit)
	at := func(i instant) entities.Moment { return table.moment(i) }
	foreign := at(9 * timeUnit)
	foreign.Clock++
	for _, test := range []struct {
		what  string
		since entities.Moment
		want  bool
	}{
		{"anything", entities.Moment{}, true},
		{"what is proven", at(10 * timeUnit), true},
		{"what is older", at(9 * timeUnit), true},
		{"what is newer", at(10*timeUnit + 1), false},
		{"the time of another table", foreign, false},
	} {
		proof, has, ok := table.MayReadSince(0, test.since)
		if ok != test.want || ok && (!proof.Allows(5) || proof.Allows(6) || has != at(10*timeUnit)) {
			t.Errorf("%s: got %t, %+v, %+v; want %t", test.what, ok, proof, has, test.want)
		}
	}
	if _, _, ok := table.MayReadSince(1, entities.Moment{}); ok {
		t.Error("one shard's proof allows reads of another")
	}
}

func TestMomentsAreOfOneTable(t *testing.T) {
	t.Parallel()
	table, f := open(t, time.Minute)
	sibling, err := Attach(f, testShards)
	if err != nil {
		t.Fatal(err)
	}
	defer sibling.Close()
	other, _ := open(t, time.Minute)
	first := table.Now()
	if second := sibling.Now(); !first.Comparable(second) || second.Time < first.Time {
		t.Errorf("%+v of one process, then %+v of another: want them in order", first, second)
	}
	if third := other.Now(); first.Comparable(third) || third.Clock == 0 {
		t.Errorf("%+v of one table and %+v of another are of one clock", first, third)
	}
}

func TestTimeOf(t *testing.T) {
	t.Parallel()
	table, _ := open(t, time.Minute)
	before := time.Now()
	m := table.Now()
	after := time.Now()
	if got := table.TimeOf(m); got.After(after) || got.Before(before.Add(-time.Second)) || got.Nanosecond()%1000 != 0 {
		t.Errorf("a moment between %s and %s was at %s", before, after, got)
	}
	if got := table.TimeOf(m).Sub(table.TimeOf(table.moment(instant(m.Time).add(-time.Hour)))); got < time.Hour-time.Second || got > time.Hour+time.Second {
		t.Errorf("an hour before is %s before", got)
	}
}
