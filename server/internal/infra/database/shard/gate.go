package shard

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"

	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/metrics"
)

// ErrRefused marks a request that was not sent, because the server does not
// answer those before it.
var ErrRefused = errors.New("was not asked")

const (
	// lookInterval is the pause after a look at a server that found nobody.
	lookInterval = 250 * time.Millisecond
	// maxAttempts is how many connections a request tries before it gives up, as
	// in database/sql.
	maxAttempts = 3
)

// A gate stands before one server of a shard, in one process, and lets requests
// through while the server answers. It keeps those that go nowhere from piling
// up: they would wait for their deadlines, and for connections.
//
// It shuts when a request fails and none that the server was sent has been
// answered since that one began. So a server that is slow, or has too much to do,
// stays open: others are answered. One that waited for most of its time proves enough,
// if other servers answered this process meanwhile. Else the gate first looks for
// itself: a request that was cut may have been unlucky (a single session was ended),
// and where nobody is answered the machine is to blame.
//
// While it is shut it looks, over a connection of its own, until somebody answers.
// So no request is spent on trying, and no write is left with an unknown outcome.
type gate struct {
	log  *slog.Logger
	look func(context.Context) error // nil says that the server does its work

	open     int64         // connections of the pool
	queue    queue         // of all requests
	turns    *turns        // one for each connection
	ample    time.Duration // a request that ran out of less says nothing about the server
	spare    time.Duration // with less than that left, a request whose turn it is comes too late
	patience time.Duration // of one look
	inside   atomic.Int64  // statements, of a request or of several, that wait for an answer or to be sent
	logins   logins        // of the pool
	all      *atomic.Int64 // answers of all servers to this process
	observer Observer
	spans    *spans // nil where nothing is traced

	shut    atomic.Bool
	mu      sync.Mutex // held to shut, to open, and to begin and end looking
	looking bool
	since   time.Time
	tasks   *tasks // of the Router

	away, full error
}

// newGate returns an open gate before a server that gives each request time,
// usually, and of which as many connections are held as open says.
func newGate(shard, server string, open int, time, patience time.Duration, look func(context.Context) error, all *atomic.Int64, log *slog.Logger, tasks *tasks) *gate {
	g := &gate{
		log: log.With("shard", shard, "server", server), look: look, all: all, observer: unobserved{},
		open: int64(open), queue: queue{most: time / 2}, ample: time / 2, spare: time / 5, patience: patience, tasks: tasks,
		away: notSent{fmt.Errorf("%s %w: it does not answer", server, ErrRefused)},
		full: notSent{fmt.Errorf("%s %w: too many requests wait for it", server, ErrRefused)},
	}
	g.turns = newTurns(g.open, &g.logins, &g.queue)
	return g
}

// come lets a statement in, if it can be answered in time. It leaves when it is.
func (g *gate) come(ctx context.Context) error {
	err := g.admit(ctx, g.queue.admits(g.inside.Add(1), statementsOf(ctx), g.turns.given.Load(), time.Now()))
	if err != nil {
		g.leave()
	}
	return err
}

func (g *gate) leave() { g.inside.Add(-1) }

// room refuses who would be refused if they came now.
func (g *gate) room(ctx context.Context) error {
	if g.shut.Load() {
		return g.refuse()
	}
	if !g.queue.admits(g.inside.Load()+1, statementsOf(ctx), g.turns.given.Load(), time.Now()) {
		g.observer.Asked(metrics.QueueFull, 0)
		return g.full
	}
	return nil
}

// admit lets a request in if there is room, or if it was let in before.
func (g *gate) admit(ctx context.Context, room bool) error {
	v, several := ctx.Value(visitKey{}).(*visit)
	if !room && !(several && v.begun.Load()) {
		g.observer.Asked(metrics.QueueFull, 0)
		return g.full
	}
	if several {
		v.begun.Store(true)
	}
	return nil
}

// Visit returns the context of a request that takes so many statements, one after
// the other, or fewer. Whether there is room for it is decided when it comes, at
// its first: refused later, it would have cost what others needed, and have waited
// in vain. It waits as often as it asks, so the queue must be as much shorter. What
// it needs of other shards then, it has to ask for before (RoomToWrite).
func Visit(ctx context.Context, statements int) context.Context {
	return context.WithValue(ctx, visitKey{}, &visit{statements: int64(statements)})
}

type (
	visit struct {
		statements int64
		begun      atomic.Bool
	}
	visitKey struct{}
)

func statementsOf(ctx context.Context) int64 {
	if v, several := ctx.Value(visitKey{}).(*visit); several {
		return v.statements
	}
	return 1
}

// through calls ask with a connection of the pool, once there is one.
func (g *gate) through(ctx context.Context, pool *gorm.DB, ask func(*gorm.DB) error) error {
	if g.spans != nil {
		return g.spans.around(ctx, g, func(ctx context.Context) error { return g.enter(ctx, pool, ask) })
	}
	return g.enter(ctx, pool, ask)
}

func (g *gate) enter(ctx context.Context, pool *gorm.DB, ask func(*gorm.DB) error) error {
	if err := g.come(ctx); err != nil {
		return err
	}
	defer g.leave()
	return g.pass(ctx, pool, ask)
}

// pass is through for who was admitted. To have a connection first separates
// a wait for the pool that ended, where nothing was sent, from a wait for the
// answer: database/sql reports both by the bare context's error.
func (g *gate) pass(ctx context.Context, pool *gorm.DB, ask func(*gorm.DB) error) error {
	since := g.now()
	for attempt := 1; ; attempt++ {
		again, err := g.try(ctx, since, func() error { return g.onConn(ctx, since.at, pool, ask) })
		if !again || attempt == maxAttempts {
			return err
		}
	}
}

// beginning is when a request began, and how many answers there had been.
type beginning struct {
	at           time.Time
	answers, all int64
}

func (g *gate) now() beginning { return beginning{time.Now(), g.queue.answers.Load(), g.all.Load()} }

// try asks once for a request that began then. It tells whether nothing was sent
// and the request had better be tried again.
func (g *gate) try(ctx context.Context, since beginning, ask func() error) (again bool, err error) {
	if g.shut.Load() {
		return false, g.refuse()
	}
	err = ask()
	g.observer.Asked(outcomeOf(ctx, err), time.Since(since.at))
	var unsent notSent
	again = errors.Is(err, driver.ErrBadConn)
	switch {
	case isReply(err):
		g.queue.answers.Add(1)
		g.all.Add(1)
		if g.shut.Load() {
			g.opened()
		}
		return false, err
	case errors.Is(context.Cause(ctx), context.Canceled): // nobody waits any more: it says nothing
		return false, err
	case g.queue.answers.Load() != since.answers: // it answers others
		again = again || errors.As(err, &unsent) && !errors.Is(err, ErrRefused)
	case ctx.Err() == nil:
		g.suspect(err, false)
		again = again || errors.As(err, &unsent) && isSlow(err) // a busy machine logs in slowly
	case time.Since(since.at) >= g.ample:
		g.suspect(err, g.all.Load() != since.all)
	}
	return again && ctx.Err() == nil, err
}

// refuse counts a request that is not sent because the gate is shut.
func (g *gate) refuse() error {
	g.observer.Asked(metrics.GateShut, 0)
	return g.away
}

// isSlow tells an attempt that took too long from one that was refused.
func isSlow(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func (g *gate) onConn(ctx context.Context, since time.Time, pool *gorm.DB, ask func(*gorm.DB) error) error {
	if err := g.turn(ctx); err != nil {
		return err
	}
	defer g.turns.done()
	db, err := pool.DB()
	if err != nil {
		return notSent{err}
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return notSent{err}
	}
	defer conn.Close() // back to the pool
	asked := time.Now()
	g.observer.Waited(asked.Sub(since))
	session := pool.Session(&gorm.Session{NewDB: true, Context: ctx})
	session.Statement.ConnPool = conn
	defer func() {
		g.queue.busy.Add(int64(time.Since(asked)))
		g.queue.sent.Add(1)
	}()
	return ask(session)
}

// turn waits for one. Who gets it too late to be answered had better not be
// sent, for the next would be late, too, and all after it.
func (g *gate) turn(ctx context.Context) error {
	waited, err := g.turns.take(ctx)
	if err != nil {
		return notSent{err}
	}
	if end, ok := ctx.Deadline(); ok && waited && time.Until(end) < g.spare {
		g.turns.done()
		return g.full
	}
	return nil
}

// suspect has the gate look at the server because of the error, and shuts it
// before if the error is proof enough.
func (g *gate) suspect(cause error, proven bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if proven {
		g.close(cause)
	}
	if !g.looking {
		g.looking = g.tasks.start(g.lookOut)
	}
}

// lookOut looks at the server until somebody answers it or a request.
func (g *gate) lookOut(ctx context.Context) {
	pause := time.NewTicker(lookInterval)
	defer pause.Stop()
	for {
		before := g.queue.answers.Load()
		if g.judge(ctx, g.lookOnce(ctx), before) {
			return
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return
		}
	}
}

func (g *gate) lookOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, g.patience)
	defer cancel()
	return g.look(ctx)
}

// judge opens or shuts the gate by what a look found, and tells whether that was enough.
func (g *gate) judge(ctx context.Context, found error, before int64) (enough bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return true
	case found == nil, g.queue.answers.Load() != before:
		g.reopen()
		g.looking = false
		return true
	default:
		g.close(found)
		return false
	}
}

func (g *gate) opened() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reopen()
}

// close shuts the gate. The caller holds mu.
func (g *gate) close(cause error) {
	if !g.shut.Swap(true) {
		g.since = time.Now()
		g.log.Warn("server is no longer asked", "err", cause.Error())
	}
}

// reopen undoes close. The caller holds mu.
func (g *gate) reopen() {
	if g.shut.Swap(false) {
		g.log.Info("server is asked again", "after_ms", time.Since(g.since).Milliseconds())
	}
}

// isReply tells what a server said, be it no, from its failure to say anything.
// A session that is ended by its server counts as the latter.
func isReply(err error) bool {
	if isAnswer(err) || errors.Is(err, ErrTooLate) || errors.Is(err, errReborn) {
		return true
	}
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.Severity == "ERROR" && pgErr.Code[:min(2, len(pgErr.Code))] != "08"
}
