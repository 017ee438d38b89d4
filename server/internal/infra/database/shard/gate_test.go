package shard

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"
)

var errAway = errors.New("away")

const (
	testTime     = time.Second     // that a request has, usually
	testPatience = 5 * time.Second // of a look
)

// testGate is a gate before a server that a look finds while up is true.
func testGate(t testing.TB, up *atomic.Bool) *gate {
	t.Helper()
	tasks := newTasks()
	t.Cleanup(tasks.stop)
	return newGate("shard-0", fromPrimary, 2, testTime, testPatience, func(context.Context) error {
		if !up.Load() {
			return errAway
		}
		return nil
	}, new(atomic.Int64), slog.New(slog.DiscardHandler), tasks)
}

// once is a request that tries once.
func (g *gate) once(ctx context.Context, ask func() error) (again bool, err error) {
	return g.try(ctx, g.now(), ask)
}

// waits is a request that is not answered, while another server answers one.
func (g *gate) waits(ctx context.Context, most time.Duration) error {
	return g.waitsWhile(ctx, most, func() { g.all.Add(1) })
}

func (g *gate) waitsWhile(ctx context.Context, most time.Duration, happens func()) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	_, err := g.once(ctx, func() error { happens(); <-ctx.Done(); return ctx.Err() })
	return err
}

// ends is a request that ends so, at once.
func (g *gate) ends(ctx context.Context, how error) error {
	_, err := g.once(ctx, func() error { return how })
	return err
}

// TestGateShuts at the first failure if nobody is there, and opens without a request.
func TestGateShuts(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(context.Context, *gate) error{
		"cut":           func(ctx context.Context, g *gate) error { return g.ends(ctx, io.ErrUnexpectedEOF) },
		"not answered":  func(ctx context.Context, g *gate) error { return g.waits(ctx, testTime) },
		"no connection": func(ctx context.Context, g *gate) error { return g.ends(ctx, notSent{&pgconn.ConnectError{}}) },
		"session closed": func(ctx context.Context, g *gate) error {
			return g.ends(ctx, &pgconn.PgError{Severity: "FATAL", Code: "57P01"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var up atomic.Bool
				g := testGate(t, &up)
				if err := fail(t.Context(), g); err == nil || errors.Is(err, ErrRefused) {
					t.Fatalf("the request ended with %v", err)
				}
				synctest.Wait()
				err := g.ends(t.Context(), nil)
				if !errors.Is(err, ErrRefused) || !isDefinite(err) {
					t.Fatalf("got %v, want a refusal of what was certainly not sent", err)
				}
				<-time.After(time.Minute) // by the test's clock: no time opens it
				if err := g.ends(t.Context(), nil); !errors.Is(err, ErrRefused) {
					t.Error("a server that is away is asked again")
				}
				up.Store(true)
				<-time.After(lookInterval)
				synctest.Wait()
				if err := g.ends(t.Context(), nil); err != nil {
					t.Errorf("a server that is back is not asked: %v", err)
				}
			})
		})
	}
}

// TestGateShutsAtTheDeadline of a request, while the look at a server that hangs goes on.
func TestGateShutsAtTheDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tasks := newTasks()
		t.Cleanup(tasks.stop)
		thaw := make(chan struct{})
		g := newGate("shard-0", fromPrimary, 2, testTime, testPatience, func(ctx context.Context) error {
			select {
			case <-thaw:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}, new(atomic.Int64), slog.New(slog.DiscardHandler), tasks)
		_ = g.waits(t.Context(), testTime)
		if !g.shut.Load() {
			t.Error("the next request would wait as long")
		}
		<-time.After(testPatience / 2)
		close(thaw)
		synctest.Wait()
		if g.shut.Load() {
			t.Error("a server that is back is not asked")
		}
	})
}

// TestGateStaysOpen for a server that is there, whatever becomes of some requests.
func TestGateStaysOpen(t *testing.T) {
	t.Parallel()
	for name, happens := range map[string]func(g *gate, up *atomic.Bool, ctx context.Context){
		"a session that was ended": func(g *gate, up *atomic.Bool, ctx context.Context) {
			up.Store(true)
			_ = g.ends(ctx, io.ErrUnexpectedEOF)
		},
		"a client that left": func(g *gate, _ *atomic.Bool, ctx context.Context) {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			_ = g.ends(ctx, context.Canceled)
		},
		"a refusal": func(g *gate, _ *atomic.Bool, ctx context.Context) {
			_ = g.ends(ctx, &pgconn.PgError{Severity: "ERROR", Code: "23505"})
		},
		"a request that had little time": func(g *gate, _ *atomic.Bool, ctx context.Context) {
			_ = g.waits(ctx, testTime/4)
		},
		"a machine on which nobody is answered": func(g *gate, up *atomic.Bool, ctx context.Context) {
			up.Store(true)
			_ = g.waitsWhile(ctx, testTime, func() {})
			if g.shut.Load() {
				t.Error("it shut before it looked")
			}
		},
		"one that is slow among others": func(g *gate, _ *atomic.Bool, ctx context.Context) {
			slow := make(chan struct{})
			go func() { defer close(slow); _ = g.waits(ctx, testTime) }()
			<-time.After(testTime / 2)
			_ = g.ends(ctx, gorm.ErrRecordNotFound)
			<-slow
		},
		"a look that takes longer than an answer": func(g *gate, up *atomic.Bool, ctx context.Context) {
			g.look = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
			_ = g.ends(ctx, io.ErrUnexpectedEOF)
			<-time.After(testPatience / 2)
			_ = g.ends(ctx, nil)
			<-time.After(testPatience)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var up atomic.Bool
				g := testGate(t, &up)
				happens(g, &up, t.Context())
				synctest.Wait()
				if g.shut.Load() {
					t.Error("the server is not asked any more")
				}
				if g.looking && name != "a look that takes longer than an answer" && !up.Load() {
					t.Error("it is suspected")
				}
			})
		})
	}
}

// TestGateOpensByAnswers to requests that were on their way when it shut.
func TestGateOpensByAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var up atomic.Bool
		g := testGate(t, &up)
		late := make(chan error)
		go func() {
			_, err := g.once(t.Context(), func() error { <-time.After(testTime + time.Millisecond); return nil })
			late <- err
		}()
		_ = g.waits(t.Context(), testTime)
		if !g.shut.Load() {
			t.Fatal("it did not shut")
		}
		if err := <-late; err != nil {
			t.Fatal(err)
		}
		if g.shut.Load() {
			t.Error("it answers, and is not asked")
		}
	})
}

// TestGateTriesAgain what was not sent, if others are answered meanwhile.
func TestGateTriesAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var up atomic.Bool
		g := testGate(t, &up)
		for _, test := range []struct {
			err  error
			want bool
		}{
			{notSent{&pgconn.ConnectError{}}, true},
			{driver.ErrBadConn, true},
			{io.ErrUnexpectedEOF, false},
			{nil, false},
		} {
			again, _ := g.once(t.Context(), func() error { _ = g.ends(t.Context(), nil); return test.err })
			if again != test.want {
				t.Errorf("%v: again = %t, want %t", test.err, again, test.want)
			}
		}
		if again, _ := g.once(t.Context(), func() error { return notSent{context.DeadlineExceeded} }); !again || !g.looking {
			t.Errorf("a login that was slow: again = %t, suspected = %t, want both", again, g.looking)
		}
		if again, _ := g.once(t.Context(), func() error { return notSent{&pgconn.ConnectError{}} }); again {
			t.Error("nobody is answered, and it is tried again")
		}
	})
}

// TestGateBoundsWhatWaits before a server that takes connections and says nothing.
func TestGateBoundsWhatWaits(t *testing.T) {
	t.Parallel()
	silent := listenSilently(t)
	conn, err := pgx.ParseConfig("postgres://u:p@" + silent.addr + "/db?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	conn.ConnectTimeout = time.Minute
	r, err := NewRouter([]Node{{Name: "shard-0", Primary: conn}}, Limits{WriteOpen: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	s := r.All()[0]

	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var full atomic.Int64
	const beyond = 100
	for range maxInside + beyond {
		wg.Go(func() {
			err := s.ReadPrimary(ctx, func(*gorm.DB) error { return errors.New("there is no connection") })
			if errors.Is(err, ErrRefused) {
				full.Add(1)
			}
		})
	}
	for end := time.Now().Add(20 * time.Second); full.Load() < beyond && time.Now().Before(end); {
		<-time.After(time.Millisecond)
	}
	if full.Load() != beyond {
		t.Errorf("%d were refused at once, want %d", full.Load(), beyond)
	}
	if most := silent.most.Load(); most > maxLogins {
		t.Errorf("%d connections were in the making at once, want at most %d", most, maxLogins)
	}
	cancel()
	wg.Wait()
}

// TestLookIsPatient has less time to connect than a look has.
func TestLookIsPatient(t *testing.T) {
	t.Parallel()
	conn, err := pgx.ParseConfig("postgres://u:p@" + listenSilently(t).addr + "/db?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	conn.ConnectTimeout = time.Nanosecond
	const patience = 100 * time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	began := time.Now()
	if err := lookAt(ctx, conn, nil, ""); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) < patience/2 {
		t.Errorf("after %s: %v, want it to wait for about %s", time.Since(began), err, patience)
	}
}

// silent takes connections and says nothing.
type silent struct {
	addr      string
	now, most atomic.Int64
}

func listenSilently(t testing.TB) *silent {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &silent{addr: ln.Addr().String()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				s.most.Store(max(s.most.Load(), s.now.Add(1)))
				defer s.now.Add(-1)
				defer conn.Close()
				_, _ = io.Copy(io.Discard, conn)
			})
		}
	})
	t.Cleanup(func() { _ = ln.Close(); wg.Wait() })
	return s
}

func TestIsReply(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		want bool
	}{
		{nil, true},
		{gorm.ErrRecordNotFound, true},
		{ErrTooLate, true},
		{&pgconn.PgError{Severity: "ERROR", Code: "23505"}, true},
		{&pgconn.PgError{Severity: "ERROR", Code: "57014"}, true},
		{&pgconn.PgError{Severity: "FATAL", Code: "57P01"}, false},
		{&pgconn.PgError{Severity: "ERROR", Code: "08P01"}, false},
		{fmt.Errorf("x: %w", driver.ErrBadConn), false},
		{&pgconn.ConnectError{}, false},
		{context.DeadlineExceeded, false},
	} {
		if got := isReply(test.err); got != test.want {
			t.Errorf("%v: reply = %t, want %t", test.err, got, test.want)
		}
	}
}

// BenchmarkGate is what a gate costs a request that succeeds.
func BenchmarkGate(b *testing.B) {
	var up atomic.Bool
	g := testGate(b, &up)
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := g.once(ctx, func() error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
