package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/primaries"
	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/progress"
)

const (
	// generators draw users side by side, as many as keep the databases of two cores busy.
	generators = 2
	// waiting chunks per shard lie between the generators and the databases; each is 10,000 users, about 3 MB.
	waiting = 3
)

// chunks of a seed are generated, stored and recorded as one piece. Their size is part of what a SEED stands for.
const chunkSize = 50_000

// seeder stores the first users of one seed.
type seeder struct {
	cfg    config.Config
	set    *primaries.Set
	shards []*loader
	gen    *generator
	seed   int64
	users  int
}

// open connects, and takes the lock that lets one seed run at a time.
func open(ctx context.Context, cfg config.Config, seed int64, users int) (*seeder, error) {
	set, err := primaries.Connect(ctx, cfg)
	if err != nil {
		return nil, err
	}
	s := &seeder{cfg: cfg, set: set, gen: &generator{seed: uint64(seed), chunkSize: chunkSize, owner: set.Owner}, seed: seed, users: users}
	for i, node := range cfg.Shards {
		l := &loader{name: node.Name, conn: set.Conns[i], seed: seed}
		if l.replica, err = primaries.Replica(ctx, cfg, i); err != nil {
			fmt.Fprintf(os.Stderr, "seed: the replica of %s does not answer, so that nobody can wait for it: when it comes back it may have to be cloned (make up)\n", node.Name)
		}
		s.shards = append(s.shards, l)
	}
	if err := s.lock(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// lock is held by the session, so it goes with a run that is killed.
func (s *seeder) lock(ctx context.Context) error {
	var locked bool
	if err := s.set.Conns[0].QueryRow(ctx, `SELECT pg_try_advisory_lock(hashtext('seed'))`).Scan(&locked); err != nil {
		return err
	}
	if !locked {
		return errors.New("another seed runs on these shards: let it end, or stop it")
	}
	return nil
}

func (s *seeder) close() {
	_ = s.set.Close() // everything is committed
	for _, l := range s.shards {
		if l.replica != nil {
			_ = l.replica.Close(context.Background())
		}
	}
}

// run stores what is not there yet.
func (s *seeder) run(ctx context.Context, out *os.File) error {
	before, err := s.before(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	display := progress.New(out)
	bar := display.Bar("users", "users", int64(s.users), before)
	err = s.store(ctx, bar)
	display.Stop()
	var added, taken int64
	for _, l := range s.shards {
		added += l.added
		taken += l.taken
	}
	took := time.Since(began).Seconds()
	if added+taken > 0 {
		fmt.Fprintf(out, "seed %d: %s users added in %.1f s, %s/s\n", s.seed, progress.Thousands(added), took, progress.Thousands(int64(float64(added)/took)))
	}
	if taken > 0 {
		fmt.Fprintf(out, "seed %d: %s users left out, since others have their addresses\n", s.seed, progress.Thousands(taken))
	}
	if err != nil {
		return err
	}
	if added+taken == 0 {
		fmt.Fprintf(out, "seed %d: its first %s users were stored before; nothing to do\n", s.seed, progress.Thousands(int64(s.users)))
		return nil
	}
	return s.finish(ctx, out)
}

// before asks every shard what it has of this seed, and returns how many of the wanted users that is.
func (s *seeder) before(ctx context.Context) (int64, error) {
	g, ctx := errgroup.WithContext(ctx)
	for _, l := range s.shards {
		g.Go(func() error { return l.recall(ctx) })
	}
	if err := g.Wait(); err != nil {
		return 0, err
	}
	var sum int64 // of shares: every shard has looked at so many users for its own
	for _, l := range s.shards {
		for chunk := range s.chunks() {
			sum += int64(min(l.done[chunk], s.upTo(chunk)))
		}
	}
	return sum / int64(len(s.shards)), nil // nearly, where shards differ: not every shard owns the same share
}

func (s *seeder) chunks() int { return (s.users + s.gen.chunkSize - 1) / s.gen.chunkSize }

// upTo is how many users of a chunk are wanted.
func (s *seeder) upTo(chunk int) int { return min(s.gen.chunkSize, s.users-chunk*s.gen.chunkSize) }

// store generates the chunks that some shard lacks and has each shard load its part.
func (s *seeder) store(ctx context.Context, bar *progress.Bar) error {
	g, ctx := errgroup.WithContext(ctx)
	queues := make([]chan part, len(s.shards))
	for i, l := range s.shards {
		queues[i] = make(chan part, waiting)
		g.Go(func() error {
			for p := range queues[i] {
				if err := l.load(ctx, p, bar); err != nil {
					return fmt.Errorf("%s: %w", l.name, err)
				}
			}
			return nil
		})
	}
	g.Go(func() error {
		defer func() {
			for _, q := range queues {
				close(q)
			}
		}()
		generating, ctx := errgroup.WithContext(ctx)
		var next atomic.Int64
		for range generators {
			generating.Go(func() error {
				for {
					chunk := int(next.Add(1)) - 1
					if chunk >= s.chunks() {
						return nil
					}
					if err := s.generate(ctx, chunk, queues); err != nil {
						return err
					}
				}
			})
		}
		return generating.Wait()
	})
	if err := g.Wait(); err != nil {
		return err
	}
	bar.Finish(int64(s.users))
	return nil
}

// generate draws a chunk and hands to each shard what it lacks of it.
func (s *seeder) generate(ctx context.Context, chunk int, queues []chan part) error {
	upTo := s.upTo(chunk)
	lacks := func(l *loader) bool { return l.done[chunk] < upTo }
	if !slices.ContainsFunc(s.shards, lacks) {
		return ctx.Err()
	}
	lists := make([][]person, len(s.shards))
	for i := range lists {
		lists[i] = make([]person, 0, upTo/len(s.shards)*9/8)
	}
	s.gen.chunk(chunk, upTo, func(i, shard int, p person) {
		if i >= s.shards[shard].done[chunk] {
			lists[shard] = append(lists[shard], p)
		}
	})
	for i, list := range lists {
		if !lacks(s.shards[i]) {
			continue
		}
		select {
		case queues[i] <- newPart(chunk, upTo, list):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// finish leaves the shards as they are after years of use: with statistics and a visibility map, and with replicas that
// have everything.
func (s *seeder) finish(ctx context.Context, out *os.File) error {
	began := time.Now()
	g, finishing := errgroup.WithContext(ctx)
	for _, l := range s.shards {
		g.Go(func() error {
			if err := l.finish(finishing); err != nil {
				return fmt.Errorf("%s: the users are stored, but: %w", l.name, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	var names []string
	for _, l := range s.shards {
		if l.replica == nil {
			names = append(names, l.name)
		}
	}
	text := "the replicas have everything"
	if len(names) > 0 {
		text = "not waited for: the replicas of " + strings.Join(names, ", ")
	}
	fmt.Fprintf(out, "seed %d: vacuumed and analysed in %.1f s; %s\n", s.seed, time.Since(began).Seconds(), text)
	return nil
}
