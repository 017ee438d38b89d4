package prefork

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/valyala/fasthttp/prefork"
)

const (
	// respawnDelay passes between a worker's end and its successor's start.
	respawnDelay = 200 * time.Millisecond
	// neverGiveUp stands for a limit of fasthttp's that counts exits over the
	// master's whole life; errCrashLoop is ours.
	neverGiveUp = int(^uint(0) >> 1)
)

var (
	errStopping  = errors.New("stopping")
	errCrashLoop = errors.New("the workers cannot start")
)

// Master keeps the workers. Its fields are set once, before Run.
type Master struct {
	Addr    string
	Workers int
	// Environ is added to this process's environment for the workers.
	Environ []string
	// StopTimeout is how long workers may take to end once they are told to.
	StopTimeout time.Duration
	// Reload, if set, looks at the program and the settings as they are now, for
	// a roll: see Reload.
	Reload func(ctx context.Context) (Reload, error)
	// Rolls asks for a roll, each time it yields.
	Rolls <-chan os.Signal
	// Share, if set, makes the files that every worker inherits: see Shared. It is
	// called once nobody else has the address, so after any server before.
	Share func() ([]*os.File, error)
	// Started and Died, if set, are told of a slot's workers: that one was started
	// there, and that one ended that nobody had told to.
	Started, Died func(slot int)
	// Companion tells whether there is to be one: see Accompany.
	Companion bool
	Log       *slog.Logger

	mu       sync.Mutex
	shared   []*os.File
	renew    chan struct{} // asks for another companion
	slots    []*slot
	stopping bool
	restart  bool
	failures int // workers that ended before they were ready, since one last was
	reason   string
}

// slot is one worker's place: its socket, who sits there, and, while the workers
// are rolled, who comes next.
type slot struct {
	index   int
	socket  *os.File
	current *child
	next    *child
}

// child is a worker as the master knows it. What is not constant is the master's
// lock's.
type child struct {
	cmd      *exec.Cmd
	reported chan struct{} // closed when the worker is ready or has said why not
	seated   chan struct{} // closed when fasthttp looks after it
	ready    bool
	reason   string // that it gave for not being ready
}

// Run starts the workers and replaces those that die until ctx is done; then it
// tells them to stop, waits for them and returns nil, or ErrRestart if a roll is
// not enough. It fails when it cannot listen, or when worker after worker ends
// before it is ready.
func (m *Master) Run(ctx context.Context) error {
	defer m.closeSockets()
	if err := m.open(); err != nil {
		return err
	}
	defer func() {
		for _, file := range m.shared {
			_ = file.Close() // ours is one copy of several
		}
	}()

	runtime.GOMAXPROCS(m.Workers) // fasthttp starts as many workers
	fleet := &prefork.Prefork{
		Logger:              fleetLog{m.Log, m.isStopping},
		Reuseport:           true, // it opens no socket of its own in the master
		RecoverThreshold:    neverGiveUp,
		RecoverInterval:     respawnDelay,
		ShutdownGracePeriod: m.StopTimeout,
		CommandProducer:     m.spawn,
	}
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	stopped := make(chan struct{})
	var others sync.WaitGroup
	m.renew = make(chan struct{}, 1)
	others.Go(func() { m.keepCompanion(stopped) }) // it outlives the workers
	others.Go(func() { m.rollWhenAsked(running, cancel) })
	others.Go(func() {
		select {
		case <-running.Done():
			m.stop(stopped)
		case <-stopped:
		}
	})

	err := fleet.ListenAndServe(m.Addr)
	close(stopped)
	cancel()
	others.Wait()
	switch {
	case !errors.Is(err, errStopping):
		return err
	case m.restart:
		return ErrRestart
	}
	m.Log.Info("stopped")
	return nil
}

// open makes the workers' sockets.
func (m *Master) open() error {
	listeners, err := listen(m.Addr, m.Workers)
	if err != nil {
		return err
	}
	defer closeAll(listeners) // the files remain
	for _, ln := range listeners {
		file, err := fileOf(ln)
		if err != nil {
			return fmt.Errorf("listener's file: %w", err)
		}
		m.slots = append(m.slots, &slot{index: len(m.slots), socket: file})
	}
	if m.Share != nil {
		if m.shared, err = m.Share(); err != nil {
			return fmt.Errorf("share with the workers: %w", err)
		}
	}
	m.Log.Info("starting", "addr", listeners[0].Addr().String(), "workers", m.Workers)
	return nil
}

// spawn implements prefork.Prefork.CommandProducer: it starts a worker in a
// free slot, or takes the one that was started for it. fasthttp calls it once per
// worker, and again for each that ended, always from the same goroutine.
func (m *Master) spawn([]*os.File) (*exec.Cmd, error) {
	place, ended := m.vacant()
	if place == nil {
		return nil, errors.New("a worker too many: every slot is taken")
	}
	if ended != nil {
		<-ended.reported // its end is at hand: the process that held the pipe is gone
	}

	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopping {
		return nil, errStopping
	}
	if place.next != nil {
		place.current, place.next = place.next, nil
		close(place.current.seated)
		return place.current.cmd, nil
	}
	if err := m.vacate(place); err != nil {
		return nil, err
	}
	c, err := m.start(place, m.Environ)
	if err != nil {
		return nil, err
	}
	place.current = c
	close(c.seated)
	return c.cmd, nil
}

// start starts a worker for a slot.
func (m *Master) start(place *slot, environ []string) (*child, error) {
	executable, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find our executable: %w", err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("open a worker's report: %w", err)
	}
	cmd := exec.Command(executable, os.Args[1:]...) //nolint:gosec,noctx // it is ourselves, and ends by signal, not by context
	cmd.Env = append(append(os.Environ(), environ...), childVariable, fmt.Sprintf("%s=%d", slotVariable, place.index))
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.ExtraFiles = append([]*os.File{listenerFD - 3: place.socket, reportFD - 3: write}, m.shared...) // from sharedFD on
	err = cmd.Start()
	_ = write.Close() // the worker's copy remains
	if err != nil {
		_ = read.Close()
		return nil, fmt.Errorf("start a worker: %w", err)
	}
	if m.Started != nil {
		m.Started(place.index)
	}
	c := &child{cmd: cmd, reported: make(chan struct{}), seated: make(chan struct{})}
	go m.await(c, read)
	return c, nil
}

// vacant finds a slot that was never taken, or whose worker has ended.
func (m *Master) vacant() (s *slot, ended *child) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.slots {
		if s.current == nil || s.current.isOver() {
			return s, s.current
		}
	}
	return nil, nil
}

func (c *child) isOver() bool {
	return errors.Is(c.cmd.Process.Signal(syscall.Signal(0)), os.ErrProcessDone)
}

// vacate forgets the slot's worker. It fails when nobody serves and as many
// workers as there are slots have ended in a row without ever being ready.
func (m *Master) vacate(s *slot) error {
	if s.current == nil {
		return nil
	}
	wasReady := s.current.ready
	s.current = nil
	if m.Died != nil {
		m.Died(s.index)
	}
	if wasReady {
		return nil
	}
	m.failures++
	if m.failures >= len(m.slots) && !m.serving() {
		return fmt.Errorf("%w: %s", errCrashLoop, m.reason)
	}
	return nil
}

func (m *Master) serving() bool {
	for _, s := range m.slots {
		if s.current != nil && s.current.ready {
			return true
		}
	}
	return false
}

// await reads what a worker has to say of its start.
func (m *Master) await(c *child, pipe *os.File) {
	defer close(c.reported)
	text, err := io.ReadAll(pipe)
	_ = pipe.Close()

	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case err == nil && string(text) == ready:
		c.ready = true
		m.failures, m.reason = 0, ""
		m.Log.Info("worker ready", "worker_pid", c.cmd.Process.Pid)
		return
	case len(text) > 0:
		c.reason = string(text)
	default:
		c.reason = "a worker ended without a word"
	}
	if m.reason == "" { // the first is the telling one
		m.reason = c.reason
	}
}

// stop tells the workers to drain, and kills those that are not done in time.
// Our copies of their sockets go first: the port closes with the last worker's.
func (m *Master) stop(stopped <-chan struct{}) {
	m.Log.Info("stopping", "timeout", m.StopTimeout.String())
	m.mu.Lock()
	m.stopping = true
	m.mu.Unlock()
	m.closeSockets()
	m.signal(syscall.SIGTERM)

	select {
	case <-stopped:
	case <-time.After(m.StopTimeout):
		m.Log.Error("workers did not stop in time; killing them", "err", "timeout")
		m.signal(syscall.SIGKILL)
	}
}

func (m *Master) signal(sig os.Signal) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.slots {
		for _, c := range []*child{s.current, s.next} {
			if c != nil {
				_ = c.cmd.Process.Signal(sig) // it may have ended by itself
			}
		}
	}
}

func (m *Master) closeSockets() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.slots {
		_ = s.socket.Close() // closing twice is harmless
	}
}

func (m *Master) isStopping() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stopping
}

// fleetLog passes on what fasthttp says of the workers: news, but for the ends
// that a stop brings.
type fleetLog struct {
	log   *slog.Logger
	quiet func() bool
}

// Printf implements prefork.Logger.
func (l fleetLog) Printf(format string, args ...any) {
	if !l.quiet() {
		l.log.Warn("fasthttp", "text", fmt.Sprintf(format, args...))
	}
}
