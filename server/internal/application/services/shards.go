package services

import (
	"context"
	"fmt"
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

// board shares counts of all shards with the server's other processes.
type board interface {
	Counts() (counts entities.ShardCounts, age time.Duration, ok bool)
	KeepCounts(counts entities.ShardCounts)
	// MayCount tells one process at a time, until it has kept counts, has failed, or the time is over.
	MayCount(within time.Duration) bool
	HasFailed()
}

const (
	// countTurn is how long others leave the counting to a process, which may have died.
	countTurn = time.Second
	// boardInterval is how often they look whether it has counted: no process can wake another.
	boardInterval = 5 * time.Millisecond
)

// Shards tells how the shards are and what they hold. Counting and probing cost
// every shard a query, so the answers are shared between requests.
type Shards struct {
	counter userCounter
	board   board
	maxAge  time.Duration
	timeout time.Duration // of counting
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

// NewShards returns what there is to tell about the shards behind counter and
// prober, of which the board keeps what was counted.
func NewShards(counter userCounter, prober prober, board board, answers SharedAnswers, now func() time.Time) *Shards {
	s := &Shards{
		counter: counter, board: board, maxAge: answers.MaxAge, timeout: answers.CountTimeout, now: now,
		health: shared[[]entities.ShardHealth]{
			maxAge: answers.MaxAge, timeout: answers.ProbeTimeout + time.Second, now: now,
			work: func(ctx context.Context) ([]entities.ShardHealth, error) {
				return prober.Probe(ctx, answers.ProbeTimeout), nil
			},
		},
	}
	s.counts = shared[entities.ShardCounts]{timeout: answers.CountTimeout, now: now, work: s.countInTurn} // the board keeps them
	s.lenient = shared[entities.ShardCounts]{maxAge: answers.MaxAge, timeout: answers.CountTimeout, now: now, work: s.count}
	return s
}

// Counts returns the users per shard, exact as of a moment at most MaxAge ago,
// or, where reads are to be strong, since the call.
//
// While they are asked for, they are counted ahead, by one process for all and
// one shard after the other: so nobody waits for them, nor much because of them.
func (s *Shards) Counts(ctx context.Context) (counts entities.ShardCounts, err error) {
	if repositories.IsStrong(ctx) {
		asOf := s.now()
		counts, err = s.counter.CountPerShard(ctx)
		counts.CountedAt = asOf.UTC()
		return counts, err
	}
	if counts, age, ok := s.board.Counts(); ok && age < s.MaxAge() {
		if age >= s.MaxAge()/2 && s.board.MayCount(countTurn) {
			go s.countAhead(context.WithoutCancel(ctx))
		}
		return counts, nil
	}
	if repositories.IsLenient(ctx) {
		counts, _, err = s.lenient.get(ctx)
	} else {
		counts, _, err = s.counts.get(ctx)
	}
	return counts, err
}

// countAhead counts before anybody has to wait for it. Where it fails, somebody
// soon waits, and is told why.
func (s *Shards) countAhead(ctx context.Context) {
	ctx, cancel := context.WithTimeout(repositories.WithPatience(ctx), s.timeout)
	defer cancel()
	_, _ = s.count(ctx)
}

// count counts all shards, for this process or, if none is missing, for all.
func (s *Shards) count(ctx context.Context) (counts entities.ShardCounts, err error) {
	begun := s.now()
	counts, err = s.counter.CountPerShard(ctx)
	counts.CountedAt = begun.UTC()
	if err != nil || len(counts.Missing) > 0 {
		s.board.HasFailed()
		return counts, err
	}
	s.board.KeepCounts(counts)
	return counts, nil
}

// countInTurn is count, unless another process is at it.
func (s *Shards) countInTurn(ctx context.Context) (entities.ShardCounts, error) {
	pause := time.NewTicker(boardInterval)
	defer pause.Stop()
	for {
		if counts, age, ok := s.board.Counts(); ok && age < s.MaxAge() {
			return counts, nil
		}
		if s.board.MayCount(countTurn) {
			return s.count(ctx)
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return entities.ShardCounts{}, fmt.Errorf("wait for another process to count: %w", ctx.Err())
		}
	}
}

// MaxAge is how old an answer may be.
func (s *Shards) MaxAge() time.Duration { return s.maxAge }

// Health returns the state of the shards, as of a moment at most MaxAge ago.
func (s *Shards) Health(ctx context.Context) (entities.Health, error) {
	shards, asOf, err := s.health.get(ctx)
	return entities.Health{Shards: shards, CheckedAt: asOf.UTC()}, err
}
