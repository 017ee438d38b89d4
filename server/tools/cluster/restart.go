package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	ps "github.com/shirou/gopsutil/v4/process"
)

// errNotRunning is what restart and rebuild say without an API.
var errNotRunning = errors.New("the API does not run: start it with `make dev`")

// rebuild is restart with a binary built first, so that a compile error leaves
// the running API alone.
func (c *cluster) rebuild(ctx context.Context) error {
	if err := c.out.step("building", "built", "the API", func() error { return c.build(ctx) }); err != nil {
		return err
	}
	return c.restart(ctx)
}

// restart replaces the API's workers one by one, while they serve. Where that is
// not enough it stops the API, which finishes what is in flight, and starts it
// anew; it says so.
func (c *cluster) restart(ctx context.Context) error {
	running, err := c.running(ctx)
	if err != nil {
		return err
	}
	if _, ok := running[apiName]; !ok {
		return errNotRunning
	}
	if err := c.findPostgres(ctx); err != nil {
		return err
	}
	changed, err := c.writeFiles(true)
	if err != nil {
		return err
	}
	if changed { // supervisord restarts what the change is about
		return c.out.step("restarting", "restarted", "the API, since settings have changed", func() error {
			if err := c.startSupervisor(ctx, changed); err != nil {
				return err
			}
			if err := c.start(ctx, apiName); err != nil {
				return err
			}
			return c.apiReady(ctx)
		})
	}
	master, err := c.apiMaster(ctx)
	if err != nil {
		return err
	}
	if master == 0 { // between two lives: Air is building, or the API does not start
		return c.out.step("restarting", "restarted", "the API, which has no master process", func() error {
			if said, err := c.supervisorctl(ctx, "restart", apiName); err != nil {
				return fmt.Errorf("supervisorctl restart: %w: %s", err, said)
			}
			return c.apiReady(ctx)
		})
	}
	return c.out.step("rolling", "rolled", "the API's workers, one by one", func() error { return c.roll(ctx, master) })
}

// rollTimeout bounds a roll's wait for the master's word, beside what the workers'
// drains may take.
const rollTimeout = time.Minute

// roll has the master replace its workers, and follows its log until it has. A
// master that says it has to be replaced itself does so in its own process.
func (c *cluster) roll(ctx context.Context, master int) error {
	log, err := os.Open(c.path("log", apiName+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	if _, err := log.Seek(0, io.SeekEnd); err != nil {
		return err
	}
	if err := syscall.Kill(master, syscall.SIGHUP); err != nil {
		return fmt.Errorf("tell the API's master, process %d: %w", master, err)
	}
	waiting, cancel := context.WithTimeout(ctx, rollTimeout+time.Duration(c.cfg.Workers)*c.cfg.DrainTimeout)
	defer cancel()
	var text []byte // of a line that may not be complete yet
	for lines := bufio.NewReader(log); ; {
		more, err := lines.ReadBytes('\n')
		text = append(text, more...)
		if errors.Is(err, io.EOF) {
			if pause(waiting) != nil {
				return fmt.Errorf("the API's master does not say that its workers are replaced. The end of its log (make logs):\n%s", c.logTail(apiName))
			}
			continue
		}
		if err != nil {
			return err
		}
		var line struct {
			Msg, Err, Reason string
			PID              int
		}
		ours := json.Unmarshal(text, &line) == nil && line.PID == master
		if text = nil; !ours {
			continue
		}
		switch line.Msg {
		case "not rolled":
			return fmt.Errorf("the workers were not replaced, those before go on: %s", line.Err)
		case "restarting":
			c.out.say("%-10s the API as a whole: %s", "restarting", line.Reason)
		case "rolled", "starting":
			return c.apiReady(ctx)
		}
	}
}

// apiMaster finds the API's master process, or 0. Air starts it by this name;
// its workers know the program by its whole path.
func (c *cluster) apiMaster(ctx context.Context) (int, error) {
	all, err := ps.ProcessesWithContext(ctx)
	if err != nil {
		return 0, err
	}
	for _, p := range all {
		words, err := p.CmdlineSliceWithContext(ctx)
		if err != nil || len(words) != 1 || words[0] != "./tmp/api" {
			continue
		}
		if cwd, _ := p.CwdWithContext(ctx); cwd == filepath.Join(c.root, "server") {
			return int(p.Pid), nil
		}
	}
	return 0, nil
}
