package freshness

import (
	"context"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestMarkFollowsItsWrite(t *testing.T) {
	t.Parallel()
	table, _ := open(t, time.Minute)
	if !mayRead(table, "a", now()) {
		t.Error("a key that was never written must be read from the primary")
	}
	before := now()
	w := mustBegin(t, table, "a", "b")
	for _, key := range []string{"a", "b"} {
		if mayRead(table, key, before.add(time.Minute)) {
			t.Errorf("%s may be read from the replica while it is written", key)
		}
	}
	w.Done()
	after := now()
	for _, key := range []string{"a", "b"} {
		if mayRead(table, key, before) {
			t.Errorf("%s may be read from the replica before the write is proven", key)
		}
		if !mayRead(table, key, after.add(2*timeUnit*time.Microsecond)) {
			t.Errorf("%s may not be read from the replica when the write is proven", key)
		}
	}
}

func TestMarkIsHeldByOverlappingWrites(t *testing.T) {
	t.Parallel()
	table, _ := open(t, time.Minute)
	future := now().add(50 * time.Second)
	first, second, third := mustBegin(t, table, "a"), mustBegin(t, table, "a"), mustBegin(t, table, "a")
	second.Done() // the last to begin, or any, being done must not free the others' mark
	third.Done()
	if mayRead(table, "a", future) {
		t.Fatal("a mark was taken back while another write of the key was pending")
	}
	acknowledged := now()
	first.Done()
	if mayRead(table, "a", acknowledged) {
		t.Error("the mark is older than the acknowledgement")
	}
	if !mayRead(table, "a", future) {
		t.Error("the mark outlasts the last write")
	}
}

func TestMarkOfAnUnknownOutcomeStays(t *testing.T) {
	t.Parallel()
	table, _ := open(t, time.Minute)
	lost := mustBegin(t, table, "a")
	mustBegin(t, table, "a").Done() // a later success says nothing of the lost one
	if mayRead(table, "a", lost.until-timeUnit) {
		t.Error("the mark of a lost write was taken back")
	}
	if !mayRead(table, "a", lost.until.add(time.Second)) {
		t.Error("the mark of a lost write holds for ever")
	}
}

// Once D has passed the lost write is no longer counted: the next write takes
// its mark back as usual. A write that ends after its D leaves the others' alone.
func TestMarkForgetsLostWrites(t *testing.T) {
	t.Parallel()
	var m mark
	past := now()
	m.begin(now(), past) // lost
	m.begin(now(), past) // late
	future := now().add(time.Minute)
	m.begin(now(), future)
	if until, pending := unpack(m.word.Load()); until != future || pending != 1 {
		t.Fatalf("got %d pending until %d, want 1 until %d", pending, until, future)
	}
	m.end(past) // the late one
	if until, pending := unpack(m.word.Load()); until != future || pending != 1 {
		t.Fatalf("after a late end: got %d pending until %d, want 1 until %d", pending, until, future)
	}
	m.end(future)
	if until, pending := unpack(m.word.Load()); until > now() || until <= past || pending != 0 {
		t.Fatalf("after the last end: got %d pending until %d", pending, until)
	}
	m.begin(now(), past)
	m.end(past)
	if until, _ := unpack(m.word.Load()); until <= past {
		t.Fatalf("an end after D left the mark at %d, before the acknowledgement", until)
	}
}

func TestMarkCountsTooMany(t *testing.T) {
	t.Parallel()
	var m mark
	d := now().add(time.Minute)
	for range manyPending + 10 {
		m.begin(now(), d)
	}
	for range manyPending + 9 {
		m.end(d)
	}
	if until, _ := unpack(m.word.Load()); until != d {
		t.Errorf("more writes than can be counted: the mark fell to %d while one was pending", until)
	}
}

func TestBeginNeedsTheClock(t *testing.T) {
	t.Parallel()
	table, _ := open(t, time.Minute)
	table.mem.shard[0].offset.Store(0)
	if _, ok := table.Begin(t.Context(), 0, "a"); ok {
		t.Error("a write began without a deadline the primary can check")
	}
}

func TestDeadlineIsTheContexts(t *testing.T) {
	t.Parallel()
	table, _ := open(t, time.Minute)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	for _, tt := range []struct {
		ctx  context.Context
		want time.Duration
	}{{ctx, time.Second}, {t.Context(), time.Minute}} {
		w, _ := table.Begin(tt.ctx, 0, "a")
		if left := time.Until(w.Deadline); left > tt.want || left < tt.want-500*time.Millisecond {
			t.Errorf("got %s to the deadline, want %s", left, tt.want)
		}
		if held := w.until.sub(now()); held < tt.want {
			t.Errorf("the mark holds for %s, less than the write's %s", held, tt.want)
		}
	}
}

func TestMarksUnderConcurrency(t *testing.T) {
	t.Parallel()
	table, _ := open(t, time.Minute)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 2000 {
				w, _ := table.Begin(context.Background(), 0, "hot", strconv.Itoa(i%3))
				if until := table.mark("hot").until(); until < w.until {
					t.Errorf("pending until %d, the mark says %d", w.until, until)
					return
				}
				w.Done()
			}
		})
	}
	wg.Wait()
	for _, key := range []string{"hot", "0", "1", "2"} {
		if until, pending := unpack(table.mark(key).word.Load()); pending != 0 || until > now() {
			t.Errorf("%s: %d pending until %s from now after all ended", key, pending, until.sub(now()))
		}
	}
}

// 14,000 marked keys may cost other keys a trip to the primary, but not many.
func TestMarksCollideRarely(t *testing.T) {
	t.Parallel()
	table, _ := open(t, time.Minute)
	ids := func() string { return uuid.Must(uuid.NewV7()).String() }
	for range 7000 {
		mustBegin(t, table, ids(), ids()[24:]+"@example.com")
	}
	const reads = 100_000
	hit := 0
	for range reads {
		if !mayRead(table, ids(), now()) {
			hit++
		}
	}
	if share := float64(hit) / reads; share > 0.006 {
		t.Errorf("%.2f %% of the keys share a mark, want 0.3 %%", 100*share)
	}
}

func TestProcessesShareMarks(t *testing.T) {
	t.Parallel()
	table, f := open(t, time.Minute)
	var writers []*process
	for range 4 {
		writers = append(writers, start(t, f, "write"))
	}
	for _, p := range writers {
		p.says(t, "done")
	}
	if until := table.mark("0").until(); until == 0 {
		t.Error("nothing of what the processes marked is seen here")
	}
}

func TestMarkOfADeadProcessHolds(t *testing.T) {
	t.Parallel()
	table, f := open(t, time.Minute)
	begun := now()
	p := start(t, f, "begin")
	p.says(t, "begun")
	if err := p.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	if mayRead(table, "begun", begun.add(time.Minute)) {
		t.Error("the mark of a write went with its process")
	}
	if !mayRead(table, "begun", now().add(time.Minute+2*margin(time.Minute))) {
		t.Error("the mark of a dead process holds for ever")
	}
}

func BenchmarkBegin(b *testing.B) {
	table, _ := open(b, 5*time.Second)
	ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
	defer cancel()
	id := uuid.NewString()
	b.ReportAllocs()
	for b.Loop() {
		w, _ := table.Begin(ctx, 0, id, "ada@example.com")
		w.Done()
	}
}
