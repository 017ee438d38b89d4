package shard

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// testBatcher doubles numbers, and holds each statement until it is let go.
type testBatcher struct {
	batcher[int, int]

	begun chan []int // the numbers of each statement, alone or together
	end   chan error // of a statement
}

func newTestBatcher(t testing.TB) *testBatcher {
	t.Helper()
	var up atomic.Bool
	g := testGate(t, &up)
	b := &testBatcher{begun: make(chan []int, 1000), end: make(chan error)}
	b.batcher = batcher[int, int]{gate: g, tasks: g.tasks, together: func(_ context.Context, ins []int) ([]result[int], error) {
		b.begun <- slices.Clone(ins)
		results := make([]result[int], len(ins))
		for i, in := range ins {
			results[i].out = 2 * in
		}
		return results, <-b.end
	}}
	return b
}

type outcome struct {
	in, out int
	err     error
}

// call calls do for each number, in their order, and returns where it tells of their ends.
func (b *testBatcher) call(ctx context.Context, ins ...int) <-chan outcome {
	ended := make(chan outcome, len(ins))
	for _, in := range ins {
		go func() {
			out, err := b.do(ctx, in, func(ctx context.Context) (int, error) {
				b.begun <- []int{in}
				select {
				case err := <-b.end:
					return 2 * in, err
				case <-ctx.Done():
					return 0, ctx.Err()
				}
			})
			ended <- outcome{in, out, err}
		}()
		synctest.Wait()
	}
	return ended
}

func (b *testBatcher) mustBegin(t testing.TB, want ...int) {
	t.Helper()
	synctest.Wait()
	select {
	case got := <-b.begun:
		if !slices.Equal(got, want) {
			t.Fatalf("%v were sent, want %v", got, want)
		}
	default:
		t.Fatalf("nothing was sent, want %v", want)
	}
}

func (b *testBatcher) mustWait(t testing.TB) {
	t.Helper()
	synctest.Wait()
	select {
	case got := <-b.begun:
		t.Fatalf("%v were sent", got)
	default:
	}
}

func wantDoubled(t testing.TB, ended <-chan outcome, n int) {
	t.Helper()
	for range n {
		if got := <-ended; got.err != nil || got.out != 2*got.in {
			t.Errorf("%d: got %d, %v", got.in, got.out, got.err)
		}
	}
}

// TestBatch sends alone who comes first, and together who come meanwhile.
func TestBatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newTestBatcher(t)
		ended := b.call(t.Context(), 1, 2, 3, 4)
		b.mustBegin(t, 1)
		b.mustWait(t)
		b.end <- nil
		b.mustBegin(t, 2, 3, 4)
		later := b.call(t.Context(), 5)
		b.mustWait(t)
		b.end <- nil
		b.mustBegin(t, 5) // one that waits is sent as if it had not had to
		b.end <- nil
		wantDoubled(t, ended, 4)
		wantDoubled(t, later, 1)
		wantDoubled(t, b.finish(t, b.call(t.Context(), 6), 6), 1)
	})
}

// finish lets the one statement go that is on its way.
func (b *testBatcher) finish(t testing.TB, ended <-chan outcome, want ...int) <-chan outcome {
	t.Helper()
	b.mustBegin(t, want...)
	b.end <- nil
	return ended
}

// TestBatchIsBounded by maxBatch.
func TestBatchIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newTestBatcher(t)
		ins := make([]int, 1+maxBatch+2)
		for i := range ins {
			ins[i] = i
		}
		ended := b.call(t.Context(), ins...)
		b.finish(t, ended, 0)
		b.finish(t, ended, ins[1:1+maxBatch]...)
		b.finish(t, ended, ins[1+maxBatch:]...)
		wantDoubled(t, ended, len(ins))
	})
}

// TestBatchIsForThoseWhoAreAnsweredInTime: as many wait as go in the statements for which there is time. To
// the server, each of these is one, however many wait for it.
func TestBatchIsForThoseWhoAreAnsweredInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct{ statements, want int }{{1, minInside}, {2, maxBatch}, {3, 2 * maxBatch}, {1000, maxInside}} {
			b := newTestBatcher(t)
			b.gate.queue.took.Store(int64(b.gate.queue.most) / int64(test.statements))
			first := b.call(t.Context(), 1)
			b.mustBegin(t, 1)
			in := make([]int, test.want)
			waiting := b.call(t.Context(), in...)
			if got := <-b.call(t.Context(), 2); !errors.Is(got.err, ErrRefused) {
				t.Errorf("%d statements in time: %d wait, and one more got %v, want it refused", test.statements, test.want, got.err)
			}
			b.end <- nil
			synctest.Wait()
			if inside := b.gate.inside.Load(); inside != 1 {
				t.Errorf("%d inside, want the one statement", inside)
			}
			close(b.end)
			wantDoubled(t, first, 1)
			wantDoubled(t, waiting, len(in))
		}
	})
}

// TestBatchIsLeft by those who have no more time: the others are answered.
func TestBatchIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newTestBatcher(t)
		hurried, cancel := context.WithTimeout(t.Context(), batchPatience/2)
		defer cancel()
		first := b.call(hurried, 1)
		b.mustBegin(t, 1)
		sooner, cancel := context.WithTimeout(t.Context(), batchPatience/4)
		defer cancel()
		waiting := b.call(sooner, 2)
		patient := b.call(t.Context(), 3, 4)
		got := <-waiting
		if !errors.Is(got.err, context.DeadlineExceeded) || !isDefinite(got.err) {
			t.Errorf("who was not sent is told %v", got.err)
		}
		if got := <-first; !errors.Is(got.err, context.DeadlineExceeded) {
			t.Errorf("who was sent alone is told %v", got.err)
		}
		b.mustBegin(t, 3, 4)
		short, cancel := context.WithTimeout(t.Context(), batchPatience/4)
		defer cancel()
		sent := b.call(short, 5)
		patientToo := b.call(t.Context(), 6)
		b.end <- nil
		b.mustBegin(t, 5, 6)
		<-short.Done()
		got = <-sent
		if !errors.Is(got.err, context.DeadlineExceeded) || isDefinite(got.err) {
			t.Errorf("who was sent with others is told %v", got.err)
		}
		b.end <- nil
		wantDoubled(t, patient, 2)
		wantDoubled(t, patientToo, 1)
	})
}

// TestBatchGoesPastWhatIsStuck soon, and no more than as usual once that has ended.
func TestBatchGoesPastWhatIsStuck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newTestBatcher(t) // its gate has two connections
		stuck := b.call(t.Context(), 1)
		b.mustBegin(t, 1)
		ended := b.call(t.Context(), 2, 3)
		b.mustWait(t)
		<-time.After(batchPatience)
		b.mustBegin(t, 2, 3)
		more := b.call(t.Context(), 4, 5)
		<-time.After(10 * batchPatience)
		b.mustWait(t) // there is no third connection
		b.end <- nil
		b.mustWait(t) // one of two has ended, that is one too many yet
		b.end <- nil
		b.mustBegin(t, 4, 5)
		b.end <- nil
		wantDoubled(t, stuck, 1)
		wantDoubled(t, ended, 2)
		wantDoubled(t, more, 2)
		if synctest.Wait(); b.sending != 0 {
			t.Errorf("%d statements are counted that have ended", b.sending)
		}
	})
}

// TestBatchFails for all if the server does, and for one if one is to blame.
func TestBatchFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newTestBatcher(t)
		ended := b.call(t.Context(), 1, 2, 3)
		b.finish(t, ended, 1)
		b.mustBegin(t, 2, 3)
		b.end <- errAway
		wantDoubled(t, ended, 1)
		for range 2 {
			if got := <-ended; !errors.Is(got.err, errAway) {
				t.Errorf("%d: got %v", got.in, got.err)
			}
		}

		ended = b.call(t.Context(), 4, 5, 6)
		b.finish(t, ended, 4)
		b.mustBegin(t, 5, 6)
		b.end <- &pgconn.PgError{Severity: "ERROR", Code: "55P03"}
		synctest.Wait()
		b.mustBeginAny(t)
		b.mustBeginAny(t)
		b.end <- nil
		b.end <- errAway
		failed := 0
		for range 3 {
			if got := <-ended; errors.Is(got.err, errAway) {
				failed++
			} else if got.err != nil || got.out != 2*got.in {
				t.Errorf("%d: got %d, %v", got.in, got.out, got.err)
			}
		}
		if failed != 1 {
			t.Errorf("%d failed for one", failed)
		}

		b.gate.shut.Store(true)
		if got := <-b.call(t.Context(), 7); !errors.Is(got.err, ErrRefused) {
			t.Errorf("a server that is away is asked: %v", got.err)
		}
	})
}

func (b *testBatcher) mustBeginAny(t testing.TB) {
	t.Helper()
	select {
	case got := <-b.begun:
		if len(got) != 1 {
			t.Fatalf("%v were sent together again", got)
		}
	default:
		t.Fatal("nothing was sent")
	}
}

// TestListsFit in one statement as long as it asks for few rows: of each list as
// many as of the longest.
func TestListsFit(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ lists, want []int }{
		{[]int{10}, []int{10}},
		{[]int{maxRows + 1, 1}, []int{maxRows + 1}},
		{[]int{1, maxRows}, []int{1}},
		{[]int{maxRows / 2, maxRows / 2, 1, maxRows / 2}, []int{maxRows / 2, maxRows / 2, 1, maxRows / 2}},
		{[]int{7, 7, maxRows / 2, 7, 9}, []int{7, 7, maxRows / 2, 7}},
	} {
		calls := make([]*call[int, int], 0, len(test.lists))
		for _, n := range test.lists {
			calls = append(calls, &call[int, int]{in: n})
		}
		same := func(n int) int { return n }
		if got := fit(calls, same, same); !slices.Equal(test.lists[:got], test.want) {
			t.Errorf("of %v, %d are sent together, want %v", test.lists, got, test.want)
		}
	}
}

// BenchmarkBatcher is what a batcher costs a request that goes alone, as nearly all do
// while there are few.
func BenchmarkBatcher(b *testing.B) {
	t, ctx := newTestBatcher(b), b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := t.do(ctx, 1, func(context.Context) (int, error) { return 2, nil }); err != nil {
			b.Fatal(err)
		}
	}
}
