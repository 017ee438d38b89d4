package prefork

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// ErrRestart is what Run returns after an orderly stop, when what has changed
// takes a new master: the caller starts the program anew in its own place.
var ErrRestart = errors.New("the master has to be started anew")

const (
	// leave tells a worker that its successor sits beside it. It is no signal that
	// a terminal or a service manager sends.
	leave = syscall.SIGUSR1
	// startTimeout is how long a worker may take until it is ready.
	startTimeout = 30 * time.Second
)

// Reload is what a roll finds.
type Reload struct {
	// Environ is added to this process's environment for the new workers.
	Environ []string
	// Companion tells whether there is to be one from now on.
	Companion bool
	// Restart says why a roll is not enough; empty if it is.
	Restart string
}

// rollWhenAsked replaces the workers one by one each time it is asked to, or
// ends the run by stop where that is not enough. What fails leaves the workers
// that serve as they are.
func (m *Master) rollWhenAsked(ctx context.Context, stop func()) {
	for {
		select {
		case <-m.Rolls:
		case <-ctx.Done():
			return
		}
		m.Log.Info("rolling")
		began := time.Now()
		news, err := m.reload(ctx)
		switch {
		case err != nil:
		case news.Restart != "":
			m.Log.Warn("restarting", "reason", news.Restart)
			m.mu.Lock()
			m.restart = true
			m.mu.Unlock()
			stop()
			return
		default:
			m.mu.Lock()
			m.Environ, m.Companion = news.Environ, news.Companion
			m.mu.Unlock()
			select {
			case m.renew <- struct{}{}:
			default: // it is asked for already
			}
			err = m.roll(ctx)
		}
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			m.Log.Error("not rolled", "err", err.Error())
		default:
			m.Log.Info("rolled", "workers", len(m.slots), "took", time.Since(began).Round(time.Millisecond).String())
		}
	}
}

func (m *Master) reload(ctx context.Context) (Reload, error) {
	if m.Reload == nil {
		return Reload{Environ: m.Environ, Companion: m.Companion}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return m.Reload(ctx)
}

func (m *Master) roll(ctx context.Context) error {
	for _, s := range m.slots {
		if err := m.replace(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// replace starts a worker on the slot's socket, beside the one that is there,
// and has that one leave once the new one is ready. So at each moment somebody
// accepts from the socket.
func (m *Master) replace(ctx context.Context, s *slot) error {
	old, c, err := m.startNext(s)
	if err != nil {
		return err
	}
	patience := time.NewTimer(startTimeout)
	defer patience.Stop()
	select {
	case <-c.reported:
	case <-patience.C:
		return m.withdraw(s, c, fmt.Errorf("a new worker is not ready after %s", startTimeout))
	case <-ctx.Done():
		return m.withdraw(s, c, ctx.Err())
	}
	if !c.ready {
		return m.withdraw(s, c, errors.New(c.reason))
	}

	if old != nil {
		_ = old.cmd.Process.Signal(leave) // it may have ended by itself: then all the better
	}
	patience.Reset(m.StopTimeout)
	for {
		select {
		case <-c.seated:
			return nil
		case <-patience.C:
			if old != nil {
				m.Log.Error("a worker did not leave in time; killing it", "err", "timeout", "worker_pid", old.cmd.Process.Pid)
				_ = old.cmd.Process.Kill()
			}
		case <-ctx.Done():
			return m.withdraw(s, c, ctx.Err())
		}
	}
}

func (m *Master) startNext(s *slot) (old, next *child, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopping {
		return nil, nil, errStopping
	}
	next, err = m.start(s, m.Environ)
	if err != nil {
		return nil, nil, err
	}
	s.next = next
	return s.current, next, nil
}

// withdraw ends a worker that has not taken its slot, unless it has by now. One
// that the stop has told to end may finish what it was about to do.
func (m *Master) withdraw(s *slot, c *child, reason error) error {
	m.mu.Lock()
	seated := s.next != c
	if !seated {
		s.next = nil
	}
	m.mu.Unlock()
	if seated {
		return reason
	}
	_ = c.cmd.Process.Signal(os.Interrupt)
	kill := time.AfterFunc(m.StopTimeout, func() { _ = c.cmd.Process.Kill() })
	defer kill.Stop()
	_ = c.cmd.Wait() // how it ends no longer matters
	return reason
}
