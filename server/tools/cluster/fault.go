package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	ps "github.com/shirou/gopsutil/v4/process"
)

const workerName = "worker" // any one of the API's

// fault does to a service what `make chaos` wants done to it: kill (its keeper
// starts it again), freeze all its processes, or thaw them. A database may also be
// named by its role, as shard-1/primary. The API's are the service messenger_server,
// which is its master alone, and one worker of it.
func (c *cluster) fault(ctx context.Context, deed, service string) error {
	process, err := c.victim(ctx, service)
	if err != nil {
		return err
	}
	switch deed {
	case "kill":
		// A database whose postmaster is killed has its other processes leave by themselves.
		return signalAll([]*ps.Process{process}, syscall.SIGKILL)
	case "freeze":
		return signalAll(family(ctx, service, process), syscall.SIGSTOP)
	case "thaw":
		return signalAll(family(ctx, service, process), syscall.SIGCONT)
	}
	return errUsage
}

// victim is the process of a service.
func (c *cluster) victim(ctx context.Context, service string) (*ps.Process, error) {
	if service == apiName || service == workerName {
		pid, err := c.apiMaster(ctx)
		if err != nil {
			return nil, err
		}
		if pid == 0 {
			return nil, errNotRunning
		}
		master, err := ps.NewProcessWithContext(ctx, int32(pid))
		if err != nil || service == apiName {
			return master, err
		}
		return aWorker(ctx, master)
	}
	for _, i := range c.primaries() {
		if service == c.cfg.Shards[i.shard].Name+"/primary" {
			service = i.name
		}
	}
	for _, i := range c.replicas() {
		if service == c.cfg.Shards[i.shard].Name+"/replica" {
			service = i.name
		}
	}
	if !slices.Contains(c.names(), service) {
		return nil, fmt.Errorf("there is no %s, but %s, %s and %s", service, strings.Join(c.names(), " "), apiName, workerName)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for { // one that was killed may be about to come back
		running, err := c.running(ctx)
		if err != nil {
			return nil, err
		}
		if p := running[service]; p.pid != 0 {
			return ps.NewProcessWithContext(ctx, int32(p.pid))
		}
		if err := pause(ctx); err != nil {
			return nil, fmt.Errorf("%s does not run: see `make ps`", service)
		}
	}
}

// aWorker is the first worker of those that stand still, so that thaw finds the one
// that was frozen, or else the first.
func aWorker(ctx context.Context, master *ps.Process) (*ps.Process, error) {
	workers, err := master.ChildrenWithContext(ctx)
	if err != nil || len(workers) == 0 {
		return nil, errors.Join(errors.New("the API has no worker"), err)
	}
	slices.SortFunc(workers, func(a, b *ps.Process) int { return int(a.Pid - b.Pid) })
	for _, w := range workers {
		if states, err := w.StatusWithContext(ctx); err == nil && slices.Contains(states, ps.Stop) {
			return w, nil
		}
	}
	return workers[0], nil
}

// family is a process with all below it; the API's workers are services of their own.
func family(ctx context.Context, service string, p *ps.Process) []*ps.Process {
	all := []*ps.Process{p}
	if service == apiName {
		return all
	}
	children, _ := p.ChildrenWithContext(ctx) // none is an error there
	for _, child := range children {
		all = append(all, family(ctx, service, child)...)
	}
	return all
}

// signalAll passes over who has left meanwhile.
func signalAll(processes []*ps.Process, sig syscall.Signal) (err error) {
	for _, p := range processes {
		if e := p.SendSignal(sig); e != nil && !errors.Is(e, os.ErrProcessDone) && !errors.Is(e, syscall.ESRCH) {
			err = errors.Join(err, fmt.Errorf("%s to process %d: %w", sig, p.Pid, e))
		}
	}
	return err
}
