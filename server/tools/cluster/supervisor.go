package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// process is one line of `supervisorctl status`.
type process struct {
	name  string // group:program, or program
	state string // RUNNING, STARTING, BACKOFF, STOPPED, EXITED, FATAL
	pid   int
}

// program is the process's name without its group.
func (p process) program() string {
	_, name, found := strings.Cut(p.name, ":")
	if !found {
		return p.name
	}
	return name
}

// supervisorctl runs one command of supervisord's client.
func (c *cluster) supervisorctl(ctx context.Context, args ...string) (string, error) {
	path, err := program("supervisorctl")
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, path, append([]string{"-c", c.supervisorFile()}, args...)...)
	said, err := cmd.CombinedOutput()
	return string(bytes.TrimSpace(said)), err
}

// supervises tells whether this project's supervisord runs.
func (c *cluster) supervises(ctx context.Context) bool {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", c.path("run", "supervisor.sock"))
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// startSupervisor starts supervisord in the background, or has the running one
// read its file again.
func (c *cluster) startSupervisor(ctx context.Context, changed bool) error {
	if c.supervises(ctx) {
		if changed {
			if said, err := c.supervisorctl(ctx, "update"); err != nil {
				return fmt.Errorf("supervisorctl update: %w: %s", err, said)
			}
		}
		return nil
	}
	if c.hold {
		_, err := c.superviseHere(ctx)
		return err
	}
	path, err := program("supervisord")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, path, "-c", c.supervisorFile())
	cmd.Env = c.processEnv()
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("supervisord: %w: %s", err, bytes.TrimSpace(said))
	}
	return c.awaitSupervisor(ctx)
}

func (c *cluster) awaitSupervisor(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for !c.supervises(ctx) {
		if err := pause(ctx); err != nil {
			return fmt.Errorf("supervisord does not answer: see %s", c.path("log", "supervisord.log"))
		}
	}
	return nil
}

// processEnv is the environment supervisord passes on: without our settings,
// which reach each process by its own configuration.
func (c *cluster) processEnv() []string {
	var list []string
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if _, ours := c.env[name]; !ours && !strings.HasPrefix(name, "MAKE") && name != "MFLAGS" {
			list = append(list, entry)
		}
	}
	return append(list, "LC_ALL=C") // PostgreSQL's messages, and supervisord's, in one language
}

// startGroup starts what does not run yet in a group, side by side.
func (c *cluster) startGroup(ctx context.Context, name string) error {
	return c.start(ctx, name+":*")
}

// start starts programs and groups, side by side: of several names supervisorctl
// would wait for one after the other.
func (c *cluster) start(ctx context.Context, names ...string) error {
	return awaitAll(ctx, names, func(ctx context.Context, name string) error {
		said, err := c.supervisorctl(ctx, "start", name)
		if err != nil && !strings.Contains(said, "already started") && !strings.Contains(said, ": started") && !strings.Contains(said, "spawn error") {
			return fmt.Errorf("start %s: %w: %s", name, err, said)
		}
		return nil // a process that fails to start is reported, with its log, by whoever awaits it
	})
}

// processes asks supervisord for every process; none when it does not run.
func (c *cluster) processes(ctx context.Context) ([]process, error) {
	if !c.supervises(ctx) {
		return nil, nil
	}
	said, err := c.supervisorctl(ctx, "status")
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 3) { // 3: some are not running
		return nil, fmt.Errorf("supervisorctl status: %w: %s", err, said)
	}
	var list []process
	for line := range strings.Lines(said) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		p := process{name: fields[0], state: fields[1]}
		if len(fields) >= 4 && fields[2] == "pid" {
			p.pid, _ = strconv.Atoi(strings.TrimSuffix(fields[3], ","))
		}
		list = append(list, p)
	}
	return list, nil
}

// running finds the processes that run, by program name.
func (c *cluster) running(ctx context.Context) (map[string]process, error) {
	list, err := c.processes(ctx)
	m := make(map[string]process)
	for _, p := range list {
		if p.state == "RUNNING" || p.state == "STARTING" {
			m[p.program()] = p
		}
	}
	return m, err
}

// logTail is the end of a process's log, for an error message.
func (c *cluster) logTail(name string) string {
	text, err := os.ReadFile(c.path("log", name+".log"))
	if err != nil {
		return "no log yet"
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}
