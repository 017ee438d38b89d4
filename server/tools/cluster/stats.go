package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	ps "github.com/shirou/gopsutil/v4/process"
)

// sampleTime is how long CPU and traffic are measured.
const sampleTime = time.Second

// usageSample is what one service uses: a process with all its children.
type usageSample struct {
	cpu           float64 // seconds since their start
	memory        uint64  // bytes; memory that the processes share is counted once
	received, out uint64  // bytes over its connections that are open now
}

// stats shows CPU, memory and traffic of every service, measured over a second.
func (c *cluster) stats(ctx context.Context) error {
	running, err := c.running(ctx)
	if err != nil {
		return err
	}
	if len(running) == 0 {
		fmt.Println("Nothing runs. `make dev` starts everything.")
		return nil
	}
	addrs := c.addrs()
	addrs[apiName] = c.cfg.Addr()
	sample := func() map[string]usageSample {
		m := make(map[string]usageSample)
		for name, p := range running {
			u := processUsage(ctx, int32(p.pid))
			u.received, u.out = traffic(ctx, addrs[name])
			m[name] = u
		}
		return m
	}
	before, began := sample(), time.Now()
	timer := time.NewTimer(sampleTime) // the measurement is this second
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	after, seconds := sample(), time.Since(began).Seconds()

	w := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "SERVICE\tCPU %\tMEMORY MiB\tNET IN KiB/s\tNET OUT KiB/s\t")
	rate := func(before, after uint64) float64 {
		if after < before { // connections were closed meanwhile
			return 0
		}
		return float64(after-before) / seconds / 1024
	}
	for _, name := range append(c.names(), apiName) {
		if _, ok := running[name]; !ok {
			continue
		}
		b, a := before[name], after[name]
		fmt.Fprintf(w, "%s\t%.1f\t%.1f\t%.1f\t%.1f\t\n", name, max(0, a.cpu-b.cpu)/seconds*100, float64(a.memory)/(1<<20), rate(b.received, a.received), rate(b.out, a.out))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if _, err := exec.LookPath("ss"); err != nil {
		fmt.Println("(no network figures: they need ss, from the package iproute2)")
	}
	return nil
}

// processUsage adds up a process and its descendants. The largest shared part
// counts once: PostgreSQL's processes all map the same shared_buffers.
func processUsage(ctx context.Context, pid int32) (u usageSample) {
	process, err := ps.NewProcess(pid)
	if err != nil {
		return u
	}
	var shared uint64
	var add func(*ps.Process)
	add = func(p *ps.Process) {
		if times, err := p.TimesWithContext(ctx); err == nil {
			u.cpu += times.User + times.System
		}
		if ex, err := p.MemoryInfoExWithContext(ctx); err == nil {
			private, common := sharedOf(ex)
			u.memory += private
			shared = max(shared, common)
		}
		children, _ := p.ChildrenWithContext(ctx)
		for _, child := range children {
			add(child)
		}
	}
	add(process)
	u.memory += shared
	return u
}

var byteCounts = regexp.MustCompile(`bytes_(sent|received):(\d+)`)

// traffic adds up what ss tells of the connections that clients have to addr.
func traffic(ctx context.Context, addr string) (received, sent uint64) {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return 0, 0
	}
	text, err := exec.CommandContext(ctx, "ss", "-tinHO", "state", "established", "sport = :"+port).Output()
	if err != nil {
		return 0, 0
	}
	for _, m := range byteCounts.FindAllStringSubmatch(strings.TrimSpace(string(text)), -1) {
		n, _ := strconv.ParseUint(m[2], 10, 64)
		if m[1] == "sent" {
			sent += n
		} else {
			received += n
		}
	}
	return received, sent
}
