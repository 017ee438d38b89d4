package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// supervised is the keeper of the native runtime: supervisord.
type supervised struct{ *cluster }

// prepare implements keeper.
func (s supervised) prepare(ctx context.Context) error {
	if err := s.stopStrays(ctx); err != nil {
		return err
	}
	if err := s.findPostgres(ctx); err != nil {
		return err
	}
	running, err := s.running(ctx)
	if err != nil {
		return err
	}
	_, withAPI := running[apiName]
	changed, err := s.writeFiles(withAPI)
	if err != nil {
		return err
	}
	return s.startSupervisor(ctx, changed)
}

// start implements keeper.
func (s supervised) start(ctx context.Context, services ...string) error {
	programs := make([]string, len(services))
	for n, service := range services {
		programs[n] = s.grouped(service)
	}
	if err := s.cluster.start(ctx, programs...); err != nil {
		return err
	}
	for _, program := range programs {
		if !strings.HasPrefix(program, "poolers:") {
			continue
		}
		// One that ran before this program knew of consoles learns who may use it.
		if said, err := s.supervisorctl(ctx, "signal", "HUP", program); err != nil {
			return fmt.Errorf("%s: %w: %s", program, err, said)
		}
	}
	return nil
}

// grouped is what supervisord calls a service.
func (c *cluster) grouped(service string) string {
	for _, g := range c.groups() {
		if slices.Contains(g.programs, service) {
			return g.name + ":" + service
		}
	}
	return service
}

// stop implements keeper.
func (s supervised) stop(ctx context.Context, i instance, patience time.Duration) error {
	if patience == 0 {
		running, err := s.running(ctx)
		if err != nil {
			return err
		}
		if pid := running[i.name].pid; pid != 0 { // asked of supervisord: the folder may be gone under it
			if err := kill(ctx, pid); err != nil {
				return fmt.Errorf("%s: %w", i.name, err)
			}
		}
	}
	if said, err := s.supervisorctl(ctx, "stop", i.program()); err != nil && !strings.Contains(said, "not running") {
		return fmt.Errorf("stop %s: %w: %s", i.name, err, said)
	}
	return nil
}

// cycle implements keeper.
func (s supervised) cycle(ctx context.Context, i instance, patience time.Duration) error {
	pid := s.postmaster(i)
	if pid == 0 { // supervisord may have given up, or have been told to stop it
		return s.start(ctx, i.name)
	}
	// supervisord looks after its children once a second, or whenever it is asked something.
	defer func() { go func() { _, _ = s.supervisorctl(ctx, "status", i.program()) }() }()
	gone := func() bool { return s.postmaster(i) != pid }
	if patience > 0 {
		if err := syscall.Kill(pid, syscall.SIGINT); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
		if poll(ctx, patience, gone) == nil {
			return nil
		}
	}
	if err := kill(ctx, pid); err != nil {
		return fmt.Errorf("%s: %w", i.name, err)
	}
	return poll(ctx, readyTimeout, gone)
}

// fence implements keeper.
func (s supervised) fence(i instance) error {
	dir := s.dataDir(i)
	if !fileExists(dir) {
		return nil
	}
	if err := s.setUpstream(dir, ""); err != nil {
		return err
	}
	if err := s.account.write(filepath.Join(dir, standbySignal), nil); err != nil {
		return err
	}
	return syncFolder(dir)
}

// unfence implements keeper.
func (s supervised) unfence(i instance) error { return removeFrom(s.dataDir(i), standbySignal) }

// removeFrom removes files from a folder, if it is there, and has that outlast a crash.
func removeFrom(dir string, names ...string) error {
	for _, name := range names {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if !fileExists(dir) {
		return nil
	}
	return syncFolder(dir)
}

// follow implements keeper.
func (s supervised) follow(ctx context.Context, i, primary instance) error {
	if err := s.writeUpstream(s.dataDir(i), primary, i.shard); err != nil {
		return err
	}
	if err := s.setUpstream(s.dataDir(primary), ""); err != nil { // it follows nobody any more
		return err
	}
	return s.start(ctx, i.name)
}

// clone implements keeper.
func (s supervised) clone(ctx context.Context, i instance) error {
	if err := s.setUpstream(s.dataDir(s.primaries()[i.shard]), ""); err != nil {
		return err
	}
	if err := s.cloneReplica(ctx, i); err != nil {
		return err
	}
	return s.start(ctx, i.name)
}

// lead implements keeper.
func (s supervised) lead(_ context.Context, shard int) error { return s.writePoolerINI(shard) }

// serverDir implements keeper.
func (s supervised) serverDir(i instance) string { return s.dataDir(i) }

// logEnd implements keeper.
func (s supervised) logEnd(service string) string {
	return fmt.Sprintf("The end of %s:\n%s", s.path("log", service+".log"), s.logTail(service))
}
