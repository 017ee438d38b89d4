package shard

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"

	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/metrics"
)

// told keeps what it is told, by one goroutine.
type told struct {
	outcomes []metrics.Outcome
	sent     []int
}

func (o *told) Asked(outcome metrics.Outcome, _ time.Duration) {
	o.outcomes = append(o.outcomes, outcome)
}
func (o *told) Waited(time.Duration) {}
func (o *told) Sent(calls int)       { o.sent = append(o.sent, calls) }

// TestGateTellsEachOutcome, also of what was not sent.
func TestGateTellsEachOutcome(t *testing.T) {
	t.Parallel()
	tasks := newTasks()
	defer tasks.stop()
	never := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	g := newGate("shard-0", fromPrimary, 1, time.Second, time.Second, never, new(atomic.Int64), slog.New(slog.DiscardHandler), tasks)
	o := new(told)
	g.observer = o
	try := func(ctx context.Context, err error) { _, _ = g.try(ctx, g.now(), func() error { return err }) }
	late, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	left, leave := context.WithCancel(t.Context())
	leave()
	try(t.Context(), nil)
	try(t.Context(), gorm.ErrRecordNotFound)
	try(t.Context(), &pgconn.PgError{Severity: "ERROR", Code: "23505"})
	try(late, late.Err())
	try(left, left.Err())
	try(t.Context(), errors.New("connection reset"))
	g.shut.Store(true)
	try(t.Context(), nil)
	_ = g.admit(t.Context(), false)
	want := []metrics.Outcome{
		metrics.Answered, metrics.Answered, metrics.Refused, metrics.Late, metrics.Canceled, metrics.Failed, metrics.GateShut, metrics.QueueFull,
	}
	if !slices.Equal(o.outcomes, want) {
		t.Errorf("got %v, want %v", o.outcomes, want)
	}
}

// TestSharesAreWhatTheRingGives compares them with where keys go.
func TestSharesAreWhatTheRingGives(t *testing.T) {
	t.Parallel()
	names := []string{"shard-0", "shard-1", "shard-2"}
	ring, err := NewRing(names)
	if err != nil {
		t.Fatal(err)
	}
	owned := map[string]float64{}
	const keys = 100_000
	for i := range keys {
		owned[ring.Owner(string(rune('a'+i%26))+time.Duration(i).String())] += 1.0 / keys
	}
	for name, share := range ring.Shares() {
		if diff := owned[name] - share; diff > 0.01 || diff < -0.01 {
			t.Errorf("%s has %.3f of the ring and %.3f of the keys", name, share, owned[name])
		}
	}
}
