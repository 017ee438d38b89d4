package shard

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// ended is a connection that may have ended, and counts who closes it.
type ended struct {
	nothing
	dead   bool
	closed *atomic.Int64
}

func (e ended) Close() error { e.closed.Add(1); return nil }

func (e ended) ResetSession(context.Context) error {
	if e.dead {
		return errors.New("it has ended")
	}
	return nil
}

func newTestDialer(t *testing.T, server *slowServer) *dialer {
	t.Helper()
	tasks := newTasks()
	t.Cleanup(tasks.stop)
	return &dialer{Connector: server, logins: new(logins), patience: time.Minute, tasks: tasks}
}

// TestLoginIsNotInVain when who asked for it has left.
func TestLoginIsNotInVain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := &slowServer{login: time.Second}
		d := newTestDialer(t, server)
		impatient, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := d.Connect(impatient); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v, want a deadline that was exceeded", err)
		}
		began := time.Now()
		for _, want := range []time.Duration{900 * time.Millisecond, 1900 * time.Millisecond} { // the one that was begun; one of its own
			if _, err := d.Connect(t.Context()); err != nil || time.Since(began) != want {
				t.Errorf("a connection after %s (%v), want after %s", time.Since(began), err, want)
			}
		}
		if all := server.all.Load(); all != 2 {
			t.Errorf("%d logins for two connections", all)
		}
	})
}

// TestSpareConnections are given up when they have ended, when nobody wants them and when the pool is closed.
func TestSpareConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newTestDialer(t, &slowServer{login: time.Second})
		var closed atomic.Int64
		keep := func(dead bool) { d.deliver(login{conn: ended{dead: dead, closed: &closed}}) }
		keep(true)
		keep(false)
		conn, err := d.Connect(t.Context())
		if got, ok := conn.(ended); err != nil || !ok || got.dead || closed.Load() != 1 {
			t.Errorf("got %v (%v), %d were closed, want the one that lives, and the other closed", conn, err, closed.Load())
		}
		keep(false)
		<-time.After(spareTime)
		keep(false)
		if err := d.giveUp(time.Now().Add(-spareTime)); err != nil || closed.Load() != 2 || len(d.spare) != 1 {
			t.Errorf("%v, %d were closed, %d are left, want one more that is closed, one left", err, closed.Load(), len(d.spare))
		}
		if err := d.Close(); err != nil || closed.Load() != 3 {
			t.Errorf("%v, %d were closed, want all", err, closed.Load())
		}
	})
}
