package freshness

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestProofIsRoundedDown(t *testing.T) {
	t.Parallel()
	for _, at := range []instant{0, 1, timeUnit - 1, timeUnit, 123_456_789, 8 * 365 * 24 * 3600 * 1_000_000} {
		w := prove(1<<identBits-1, at)
		if got := w.time(); got > at || at-got >= timeUnit {
			t.Errorf("T = %d is published as %d", at, got)
		}
		if w.incarnation() != 1<<identBits-1 {
			t.Errorf("T = %d spoils the incarnation", at)
		}
	}
	if got := prove(3, -5).time(); got != 0 {
		t.Errorf("a time before the host's start is published as %d", got)
	}
}

func TestProofOnlyGrows(t *testing.T) {
	t.Parallel()
	var s shardState
	s.publish(1, 40_000)
	s.publish(1, 8_000) // late, and still true
	if w := proofWord(s.proven.Load()); w.time() != 40_000 || w.incarnation() != 1 {
		t.Errorf("got T = %d of %d", w.time(), w.incarnation())
	}
	s.publish(2, 0) // another life begins without a T
	if w := proofWord(s.proven.Load()); w.time() != 0 || w.incarnation() != 2 {
		t.Errorf("got T = %d of %d", w.time(), w.incarnation())
	}
}

func TestProcessesShareProofs(t *testing.T) {
	t.Parallel()
	table, f := open(t, time.Minute)
	table.mem.shard[1].publish(7, 1)
	var publishers []*process
	for range 3 {
		publishers = append(publishers, start(t, f, "publish"))
	}
	for _, p := range publishers {
		p.says(t, "done")
	}
	if w := proofWord(table.mem.shard[1].proven.Load()); w.time() < 900_000_000 || w.incarnation() != 7 {
		t.Errorf("got T = %d of %d", w.time(), w.incarnation())
	}
}

func TestProofBelongsToAnIncarnation(t *testing.T) {
	t.Parallel()
	table, _ := open(t, time.Minute)
	if _, ok := table.MayRead(0, "a"); ok {
		t.Error("a replica nobody has asked may be read")
	}
	table.mem.shard[0].publish(5, now())
	proof, ok := table.MayRead(0, "a")
	if !ok || !proof.Allows(5) || proof.Allows(6) || proof.Allows(0) {
		t.Errorf("got %+v, %t", proof, ok)
	}
	if (Proof{}).Allows(0) {
		t.Error("no proof allows a connection nobody has asked")
	}
	if _, ok := table.MayRead(1, "a"); ok {
		t.Error("one shard's proof allows reads of another")
	}
}

func TestFloorCoversTheServerBefore(t *testing.T) {
	t.Parallel()
	began := now()
	table, f, err := Create(1, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	defer f.Close()
	if mayRead(table, "a", began.add(5*time.Second)) {
		t.Error("a write of the server before may be missed")
	}
	if !mayRead(table, "a", now().add(8*time.Second)) {
		t.Error("the floor never passes")
	}
}

func TestAttachChecksTheMemory(t *testing.T) {
	t.Parallel()
	_, f := open(t, time.Minute)
	if _, err := Attach(f, testShards+1); err == nil {
		t.Error("attached to a table of other shards")
	}
	other, err := os.CreateTemp(t.TempDir(), "empty")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := Attach(other, testShards); err == nil {
		t.Error("attached to an empty file")
	}
	for _, shards := range []int{0, MaxShards + 1} {
		if _, _, err := Create(shards, time.Second); err == nil {
			t.Errorf("created a table of %d shards", shards)
		}
	}
}

const second = 1_000_000

func TestSampleProves(t *testing.T) {
	t.Parallel()
	const sent, received, ahead = 100 * second, 100*second + 2000, 1_700_000_000 * second // ahead: of the primary's clock
	clock := int64(sent + 1000 + ahead)
	for _, tt := range []struct {
		name    string
		oldest  int64
		trusted int64
		want    instant
	}{
		{"nothing runs", 0, 0, sent},
		{"began just now", clock, 0, sent},
		{"began in the clock's future", clock + second, 0, sent},
		{"began 8 s ago", clock - 8*second, 0, sent - 9*second}, // an eighth for a slow clock
		{"clock was set back", 0, clock + 1, 0},
		{"clock has caught up", 0, clock, sent},
		{"began before the clock had caught up", clock - second, clock - second + 1, 0},
	} {
		var s shardState
		s.trusted.Store(tt.trusted)
		if got := s.proves(sent, received, clock, tt.oldest, time.Second); got != tt.want {
			t.Errorf("%s: T = %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestClockSetBack(t *testing.T) {
	t.Parallel()
	const lifetime = 5 * time.Second
	var s shardState
	at := now()
	if !s.observe(int64(at)+1000*second, at, at, lifetime) || s.offset.Load() != 1000*second {
		t.Fatalf("the first sample: offset %d", s.offset.Load())
	}
	// A slow answer may look like a step; nothing is known then.
	if s.observe(int64(at)+1000*second, at, at+second, lifetime) || s.offset.Load() != 1000*second || s.trusted.Load() != 0 {
		t.Errorf("a slow answer: offset %d, trusted %d", s.offset.Load(), s.trusted.Load())
	}
	// A step forward makes old deadlines early, which does no harm.
	if !s.observe(int64(at)+1010*second, at, at, lifetime) || s.offset.Load() != 1010*second || s.trusted.Load() != 0 {
		t.Errorf("a step forward: offset %d, trusted %d", s.offset.Load(), s.trusted.Load())
	}
	// A step back: no proof before the deadlines of before have passed.
	last := int64(now().add(lifetime)) + s.offset.Load()
	if s.observe(int64(at)+990*second, at, at, lifetime) || s.offset.Load() != 990*second {
		t.Errorf("a step back: offset %d", s.offset.Load())
	}
	if s.trusted.Load() < last {
		t.Errorf("trusted from %d on, deadlines last until %d", s.trusted.Load(), last)
	}
	if got := s.proves(at, at, int64(at)+990*second, 0, lifetime); got != 0 {
		t.Errorf("T = %d after a step back, want none", got)
	}
}

func TestServes(t *testing.T) {
	t.Parallel()
	table, _ := open(t, time.Minute)
	s := &table.mem.shard[0]
	if table.Serves(0, time.Hour) {
		t.Error("a replica that was never heard of serves")
	}
	asked := now()
	s.asked.Store(int64(asked))
	s.replayed.Store(int64(asked.add(-3 * time.Second)))
	s.heard.Store(int64(asked))
	if !table.Serves(0, 3*time.Second) || table.Serves(0, 2*time.Second) {
		t.Errorf("lag is %s", table.Lag(0))
	}
	s.heard.Store(int64(asked.add(-2 * silence)))
	if table.Serves(0, 3*time.Second) {
		t.Error("a silent replica serves")
	}
}

func TestLongBacklogIsThinned(t *testing.T) {
	t.Parallel()
	table, _ := open(t, time.Minute)
	w := &watch{table: table}
	for i := range 1000 {
		w.keep(sample{position: int64(i)})
	}
	if n := len(w.backlog); n > 128 {
		t.Errorf("%d samples are kept", n)
	}
	if first, last := w.backlog[0].position, w.backlog[len(w.backlog)-1].position; first != 0 || last != 999 {
		t.Errorf("samples %d to %d are kept, want the first and the last", first, last)
	}
}

func BenchmarkMayRead(b *testing.B) {
	table, _ := open(b, time.Minute)
	table.mem.shard[0].publish(1, now())
	ids := make([]string, 1<<16)
	for i := range ids {
		ids[i] = uuid.NewString()
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		table.MayRead(0, ids[i&(1<<16-1)])
		i++
	}
}

func BenchmarkServes(b *testing.B) {
	table, _ := open(b, time.Minute)
	table.mem.shard[0].heard.Store(int64(now()))
	for b.Loop() {
		table.Serves(0, time.Second)
	}
}

func FuzzProofWord(f *testing.F) {
	f.Add(uint32(1), int64(4000))
	f.Fuzz(func(t *testing.T, replica uint32, at int64) {
		inc, in := Incarnation(replica&(1<<identBits-1)), instant(at&(1<<48-1))
		w := prove(inc, in)
		if w.incarnation() != inc || w.time() > in || in-w.time() >= timeUnit {
			t.Error(strconv.FormatUint(uint64(w), 16))
		}
	})
}
