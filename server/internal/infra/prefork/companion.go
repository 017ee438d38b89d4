package prefork

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// companionVariable marks the companion's environment.
const companionVariable = "PREFORK_COMPANION"

// aliveFD is a pipe from which nothing comes: its end is the master's.
const aliveFD = reportFD

const (
	// companionPause passes between the companion's end and the start of the next;
	// each time twice as long, up to the most, as long as none has lasted for that.
	companionPause     = time.Second
	companionPauseMost = 30 * time.Second
	// companionPatience is how long it may take to end.
	companionPatience = 2 * time.Second
)

// IsCompanion tells whether this process is its master's companion.
func IsCompanion() bool { return os.Getenv(companionVariable) != "" }

// Accompany runs serve until ctx is done, or the master is gone. The companion is one
// process beside the workers, with what is Shared and without a listening socket.
// The master starts another when it ends, and replaces it when it rolls the workers;
// that it cannot start or does not last is logged and changes nothing for them.
func Accompany(ctx context.Context, serve func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	master := os.NewFile(aliveFD, "master")
	go func() {
		_, _ = master.Read(make([]byte, 1))
		cancel()
	}()
	return serve(ctx)
}

// keepCompanion sees to it that there is a companion while there is to be one, until
// the workers have stopped.
func (m *Master) keepCompanion(stopped <-chan struct{}) {
	pause := companionPause
	for {
		began := time.Now()
		c, err := m.startCompanion()
		if err != nil {
			m.Log.Error("no companion", "err", err.Error())
		}
		select {
		case <-c.over():
			if err == nil && !m.isStopping() {
				m.Log.Error("the companion ended", "err", c.cmd.ProcessState.String())
			}
		case <-m.renew:
			c.end()
			continue
		case <-stopped:
			c.end()
			return
		}
		if time.Since(began) >= companionPauseMost {
			pause = companionPause
		}
		select {
		case <-time.After(pause):
		case <-m.renew: // by what may be mended
			pause = companionPause
			continue
		case <-stopped:
			return
		}
		pause = min(2*pause, companionPauseMost)
	}
}

// companion is the process as the master knows it; nil where there is to be none.
type companion struct {
	cmd   *exec.Cmd
	alive *os.File // our end of the pipe: held, never written to
	ended chan struct{}
}

func (m *Master) startCompanion() (*companion, error) {
	m.mu.Lock()
	wanted, environ := m.Companion && !m.stopping, m.Environ
	m.mu.Unlock()
	if !wanted {
		return nil, nil //nolint:nilnil // none is what was asked for
	}
	c := &companion{ended: make(chan struct{})}
	failed := func(err error) (*companion, error) {
		close(c.ended)
		return c, fmt.Errorf("start the companion: %w", err)
	}
	executable, err := os.Executable()
	if err != nil {
		return failed(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		return failed(err)
	}
	defer read.Close() // the companion's copy remains
	c.alive = write
	c.cmd = exec.Command(executable, os.Args[1:]...) //nolint:gosec,noctx // it is ourselves, and ends by signal, not by context
	c.cmd.Env = append(append(os.Environ(), environ...), companionVariable+"=1")
	c.cmd.Stdout, c.cmd.Stderr = os.Stdout, os.Stderr
	c.cmd.ExtraFiles = append([]*os.File{listenerFD - 3: nil, aliveFD - 3: read}, m.shared...)
	if err := c.cmd.Start(); err != nil {
		_ = write.Close()
		return failed(err)
	}
	go func() {
		_ = c.cmd.Wait() // how it ended is in its state
		_ = write.Close()
		close(c.ended)
	}()
	return c, nil
}

// over is closed when the process has ended, or could not be started.
func (c *companion) over() <-chan struct{} {
	if c == nil {
		return nil
	}
	return c.ended
}

// end has it end, however little it wants to.
func (c *companion) end() {
	if c == nil || c.cmd == nil || c.cmd.Process == nil {
		return
	}
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	kill := time.AfterFunc(companionPatience, func() { _ = c.cmd.Process.Kill() })
	defer kill.Stop()
	<-c.ended
}
