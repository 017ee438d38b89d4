package services

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/repositories"
)

// slowCounter takes a second for a count, and counts its counts.
type slowCounter struct{ times, patient atomic.Int64 }

func (c *slowCounter) CountPerShard(ctx context.Context) (entities.ShardCounts, error) {
	if repositories.IsPatient(ctx) {
		c.patient.Add(1)
	}
	n := c.times.Add(1)
	<-time.After(time.Second)
	return entities.ShardCounts{Shards: []entities.ShardCount{{Shard: "shard-0", Users: n}}}, ctx.Err()
}

// testBoard is the board of processes that are this test's.
type testBoard struct {
	kept    atomic.Pointer[entities.ShardCounts]
	claimed atomic.Bool
}

func (b *testBoard) Counts() (counts entities.ShardCounts, age time.Duration, ok bool) {
	kept := b.kept.Load()
	if kept == nil {
		return counts, 0, false
	}
	return *kept, time.Since(kept.CountedAt), true
}

func (b *testBoard) KeepCounts(counts entities.ShardCounts) {
	b.kept.Store(&counts)
	b.claimed.Store(false)
}

func (b *testBoard) HasFailed() { b.claimed.Store(false) }

func (b *testBoard) MayCount(time.Duration) bool { return !b.claimed.Swap(true) }

// TestCountsAreCountedAhead for those who go on asking: only the first waits, and
// not even that one if another process has counted.
func TestCountsAreCountedAhead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const maxAge = 10 * time.Second
		var counter slowCounter
		board := new(testBoard)
		process := func() *Shards {
			return NewShards(&counter, nil, board, SharedAnswers{MaxAge: maxAge, CountTimeout: time.Minute}, time.Now)
		}
		one, other := process(), process()
		if _, err := one.Counts(t.Context()); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		for time.Since(begun) < 10*maxAge {
			<-time.After(100 * time.Millisecond)
			for _, s := range []*Shards{one, other} {
				asked := time.Now()
				counts, err := s.Counts(t.Context())
				if err != nil || time.Since(asked) > 0 || asked.Sub(counts.CountedAt) >= maxAge || counts.Total() == 0 {
					t.Fatalf("got %v, %v after %s", counts, err, time.Since(asked))
				}
			}
		}
		// Each is begun when the one before has had half of its time.
		if n := counter.times.Load(); n < 15 || n > 21 || counter.patient.Load() != n-1 {
			t.Errorf("counted %d times, %d of them ahead", n, counter.patient.Load())
		}
		<-time.After(2 * time.Second) // the last one is over
		quiet := counter.times.Load()
		<-time.After(2 * maxAge)
		if after := counter.times.Load(); after != quiet {
			t.Errorf("counted %d times for nobody", after-quiet)
		}
		counts, err := other.Counts(t.Context())
		if err != nil || time.Since(counts.CountedAt) >= maxAge {
			t.Errorf("after a while: got %v, %v", counts, err)
		}
		if _, err := one.Counts(repositories.WithStrong(t.Context())); err != nil || counter.times.Load() != quiet+2 {
			t.Errorf("who wants the present was given what was counted before: %v", err)
		}
	})
}

// TestCountsAreCountedByOne of many processes that are asked at once.
func TestCountsAreCountedByOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var counter slowCounter
		board := new(testBoard)
		var wg sync.WaitGroup
		for range 7 {
			s := NewShards(&counter, nil, board, SharedAnswers{MaxAge: 3 * time.Second, CountTimeout: time.Minute}, time.Now)
			wg.Go(func() {
				if counts, err := s.Counts(t.Context()); err != nil || counts.Total() != 1 {
					t.Errorf("got %v, %v", counts, err)
				}
			})
		}
		wg.Wait()
		if n := counter.times.Load(); n != 1 {
			t.Errorf("counted %d times", n)
		}
	})
}
