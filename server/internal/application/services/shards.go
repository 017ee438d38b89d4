package services

import (
	"context"
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/repositories"
)

// userCounter is the part of repositories.Users that Shards calls.
type userCounter interface {
	CountPerShard(ctx context.Context) (entities.ShardCounts, error)
}

// prober looks at the servers behind the shards.
type prober interface {
	Probe(ctx context.Context, timeout time.Duration) []entities.ShardHealth
}

// Shards tells how the shards are and what they hold. Counting and probing cost
// every shard a query, so the answers are shared between requests.
type Shards struct {
	counter userCounter
	now     func() time.Time
	counts  shared[entities.ShardCounts]
	lenient shared[entities.ShardCounts] // counts that may lack shards
	health  shared[[]entities.ShardHealth]
}

// SharedAnswers bounds the answers that Shards gives to many requests.
type SharedAnswers struct {
	MaxAge       time.Duration // of an answer
	CountTimeout time.Duration
	ProbeTimeout time.Duration
}

// NewShards returns what there is to tell about the shards behind counter and prober.
func NewShards(counter userCounter, prober prober, answers SharedAnswers, now func() time.Time) *Shards {
	count := func() shared[entities.ShardCounts] {
		return shared[entities.ShardCounts]{maxAge: answers.MaxAge, timeout: answers.CountTimeout, now: now, work: counter.CountPerShard}
	}
	return &Shards{
		counter: counter, now: now, counts: count(), lenient: count(),
		health: shared[[]entities.ShardHealth]{
			maxAge: answers.MaxAge, timeout: answers.ProbeTimeout + time.Second, now: now,
			work: func(ctx context.Context) ([]entities.ShardHealth, error) {
				return prober.Probe(ctx, answers.ProbeTimeout), nil
			},
		},
	}
}

// Counts returns the users per shard, exact as of a moment at most MaxAge ago,
// or, where reads are to be strong, since the call.
func (s *Shards) Counts(ctx context.Context) (counts entities.ShardCounts, err error) {
	var asOf time.Time
	switch {
	case repositories.IsStrong(ctx):
		asOf = s.now()
		counts, err = s.counter.CountPerShard(ctx)
	case repositories.IsLenient(ctx):
		counts, asOf, err = s.lenient.get(ctx)
	default:
		counts, asOf, err = s.counts.get(ctx)
	}
	counts.CountedAt = asOf.UTC()
	return counts, err
}

// MaxAge is how old an answer may be.
func (s *Shards) MaxAge() time.Duration { return s.counts.maxAge }

// Health returns the state of the shards, as of a moment at most MaxAge ago.
func (s *Shards) Health(ctx context.Context) (entities.Health, error) {
	shards, asOf, err := s.health.get(ctx)
	return entities.Health{Shards: shards, CheckedAt: asOf.UTC()}, err
}
