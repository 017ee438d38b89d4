package freshness

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"
)

// watch samples one shard. The primary is asked for positions, the replica for
// how far it is; neither waits for the other.
type watch struct {
	table   *Table
	shard   int
	log     *slog.Logger
	primary link
	replica link

	news    chan struct{} // there are new samples
	mu      sync.Mutex
	backlog []sample // that the replica has not replayed yet, oldest first
}

// A sample is where a primary was.
type sample struct {
	sent     instant // before it was asked
	proves   instant // T, once the position is replayed; 0 is nothing
	position int64
	system   int64
	timeline int64
}

// primaryQuery reads the transactions first: that the list is materialized makes
// the rest wait for it. A statement of a stopped session that is not reported
// (track_activities) or acknowledged before it is flushed would escape us. The
// view pg_stat_activity has the same rows, joined with two catalogs, for twice
// the time.
const primaryQuery = `
WITH running AS MATERIALIZED (
  SELECT min(xact_start) AS oldest FROM pg_stat_get_activity(NULL)
   WHERE usesysid = quote_ident(current_user)::regrole AND pid <> pg_backend_pid()
)
SELECT current_setting('track_activities')::bool AND current_setting('synchronous_commit') <> 'off',
       coalesce((extract(epoch FROM oldest) * 1000000)::bigint, 0),
       (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
       pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::bigint,
       substr(pg_walfile_name(pg_current_wal_flush_lsn()), 1, 8),
       (SELECT system_identifier FROM pg_control_system()),
       coalesce((SELECT (to_jsonb(i)->>'epoch')::bigint FROM shard_identity AS i), 1)
  FROM running`

const replicaQuery = `
SELECT pg_is_in_recovery(), coalesce(pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0'), 0)::bigint,` + incarnationColumns

var (
	errUnreported = errors.New("track_activities or synchronous_commit is off: nothing can be proven")
	errNoReplica  = errors.New("is not in recovery any more: it is no replica")
	errOutdated   = errors.New("was the primary before the last promotion: it must not be written to")
	errForeign    = errors.New("replica is of another system or timeline than its primary")
)

func (w *watch) watchPrimary(ctx context.Context) {
	defer w.primary.close()
	w.every(ctx, "primary", func() error {
		m, err := w.askPrimary(ctx)
		if err != nil {
			return err
		}
		w.keep(m)
		raise(&w.state().asked, int64(m.sent))
		select {
		case w.news <- struct{}{}:
		default:
		}
		return nil
	}, nil)
}

func (w *watch) watchReplica(ctx context.Context) {
	defer w.replica.close()
	w.every(ctx, "replica", func() error { return w.look(ctx) }, w.news)
}

// every calls step in every interval, and on news, until ctx is done. It logs
// when step begins to fail and when it works again.
func (w *watch) every(ctx context.Context, server string, step func() error, news <-chan struct{}) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	failing := false
	for {
		err := step()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			w.log.Warn("cannot be sampled", "server", server, "err", err.Error())
		case err == nil && failing:
			w.log.Info("can be sampled again", "server", server)
		}
		failing = err != nil
		select {
		case <-tick.C:
		case <-news:
		case <-ctx.Done():
			return
		}
	}
}

func (w *watch) state() *shardState { return &w.table.mem.shard[w.shard] }

func (w *watch) askPrimary(ctx context.Context) (sample, error) {
	if err := w.primary.connect(ctx); err != nil {
		return sample{}, err
	}
	var (
		reported             bool
		oldest, clock, epoch int64
		walFile              string
	)
	m := sample{sent: now()}
	err := w.primary.ask(ctx, primaryQuery, &reported, &oldest, &clock, &m.position, &walFile, &m.system, &epoch)
	if err != nil {
		return sample{}, err
	}
	if epoch < w.table.LearnEpoch(w.shard, epoch) {
		w.state().outdated.Store(1)
		return sample{}, errOutdated
	}
	w.state().outdated.Store(0)
	if m.timeline, err = strconv.ParseInt(walFile, 16, 64); err != nil {
		return sample{}, fmt.Errorf("timeline of WAL: %w", err)
	}
	if !reported {
		return sample{}, errUnreported
	}
	m.proves = w.state().proves(m.sent, now(), clock, oldest, w.table.lifetime)
	return m, nil
}

// proves returns T for a sample: sent and received by our clock, read at clock
// by the primary's, by which its oldest transaction began at oldest, 0 if there
// is none. T is 0 if the primary's clock leaves a doubt.
func (s *shardState) proves(sent, received instant, clock, oldest int64, lifetime time.Duration) instant {
	if !s.observe(clock, sent, received, lifetime) {
		return 0
	}
	trusted := s.trusted.Load()
	if clock < trusted || oldest != 0 && oldest < trusted {
		return 0
	}
	if oldest == 0 {
		return sent
	}
	age := max(0, clock-oldest)
	return sent - instant(age+age/slowness)
}

// keep puts a sample in the backlog. A long one loses every other sample: T
// then moves in larger steps.
func (w *watch) keep(m sample) {
	const most = 128
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.backlog) == most {
		odd := false
		w.backlog = slices.DeleteFunc(w.backlog, func(sample) bool { odd = !odd; return !odd })
	}
	w.backlog = append(w.backlog, m)
}

// look asks the replica how far it is and publishes what that proves. While the
// replica keeps up, the last sample is only milliseconds away and awaited.
func (w *watch) look(ctx context.Context) error {
	for pause := 2 * time.Millisecond; ; pause *= 2 {
		replayed, left, err := w.lookOnce(ctx)
		if err != nil || left == 0 || replayed == 0 && pause > 2*time.Millisecond || pause > interval/3 {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (w *watch) lookOnce(ctx context.Context) (replayed, left int, err error) {
	if err := w.replica.connect(ctx); err != nil {
		return 0, 0, err
	}
	var (
		inRecovery bool
		position   int64
		l          life
	)
	if err := w.replica.ask(ctx, replicaQuery, append([]any{&inRecovery, &position}, l.dest()...)...); err != nil {
		return 0, 0, err
	}
	if !inRecovery {
		w.replica.close() // it was promoted under us: another is the replica now, or none
		return 0, 0, errNoReplica
	}
	s, replica := w.state(), l.incarnation()
	raise(&s.heard, int64(now()))
	if proofWord(s.proven.Load()).incarnation() != replica {
		s.publish(replica, 0)
		s.replayed.Store(0)
	}

	w.mu.Lock()
	defer w.mu.Unlock()
	var foreign bool
	w.backlog = slices.DeleteFunc(w.backlog, func(m sample) bool {
		if m.system != l.system || m.timeline != l.timeline {
			foreign = true
			return true
		}
		if m.position > position {
			return false
		}
		replayed++
		s.publish(replica, m.proves)
		raise(&s.replayed, int64(m.sent))
		return true
	})
	if foreign {
		err = errForeign
	}
	return replayed, len(w.backlog), err
}
