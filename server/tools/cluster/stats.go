package main

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	ps "github.com/shirou/gopsutil/v4/process"

	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/terminal"
)

// sampleTime is how long CPU and traffic are measured.
const sampleTime = time.Second

// usageSample is what one service uses: a process with all its children.
type usageSample struct {
	cpu           float64 // seconds since their start
	memory        uint64  // bytes; memory that the processes share is counted once
	received, out uint64  // bytes over its connections that are open now
}

// usageLine is a line of `make stats`.
type usageLine struct {
	name, role    string
	cpu           float64 // processors
	memory        uint64
	received, out float64 // bytes a second
}

// stats shows CPU, memory and traffic of every service, measured over a second.
func (c *cluster) stats(ctx context.Context, screen *terminal.Screen) error {
	list, err := c.usage(ctx)
	if err != nil {
		return err
	}
	if list == nil {
		_, err := fmt.Fprintln(screen, "Nothing runs. `make dev` starts everything.")
		return err
	}
	_, ssErr := exec.LookPath("ss")
	if err := showUsage(screen, list, ssErr == nil); err != nil || !screen.Person() {
		return err
	}
	text := fmt.Sprintf("CPU: 100 %% is one processor, a whole bar all %d. Memory: a whole bar is the largest.", runtime.NumCPU())
	if ssErr != nil {
		text += "\nNo network figures: they need ss, from the package iproute2."
	}
	_, err = fmt.Fprintln(screen, "\n"+screen.Faint(text))
	return err
}

// showUsage prints the table; for people with what all take together.
func showUsage(screen *terminal.Screen, list []usageLine, network bool) error {
	const bar = 6 // characters
	var total usageLine
	largest := uint64(1)
	for _, l := range list {
		total.cpu, total.memory, largest = total.cpu+l.cpu, total.memory+l.memory, max(largest, l.memory)
		total.received, total.out = total.received+l.received, total.out+l.out
	}
	if screen.Person() {
		total.name = "total"
		list = append(list, total)
	}
	load := func(l usageLine) string {
		share := l.cpu / float64(runtime.NumCPU())
		switch text := terminal.Bar(share, bar); {
		case share > 0.8:
			return screen.Bad(text)
		case share > 0.5:
			return screen.Warning(text)
		default:
			return screen.Good(text)
		}
	}
	traffic := func(of func(usageLine) float64, show func(float64) string) func(usageLine) string {
		return func(l usageLine) string {
			if !network {
				return ""
			}
			return show(of(l))
		}
	}
	received := func(l usageLine) float64 { return l.received }
	out := func(l usageLine) float64 { return l.out }
	whole := func(f float64) string { return strconv.FormatFloat(f, 'f', 0, 64) }
	short := func(f float64) string { return terminal.Bytes(uint64(f)) }
	return terminal.Table(screen, list, []terminal.Column[usageLine]{
		{Name: "SERVICE", Value: func(l usageLine) string { return l.name }},
		{Name: "ROLE", Value: func(l usageLine) string { return l.role }, Spare: 1},
		{
			Name: "CPU_PERCENT", Value: func(l usageLine) string { return fmt.Sprintf("%.1f", l.cpu*100) }, Right: true,
			Head: "CPU", Show: func(l usageLine) string { return fmt.Sprintf("%.1f %%", l.cpu*100) },
		},
		{Show: load},
		{
			Name: "MEMORY_BYTES", Value: func(l usageLine) string { return strconv.FormatUint(l.memory, 10) }, Right: true,
			Head: "MEMORY", Show: func(l usageLine) string { return terminal.Bytes(l.memory) },
		},
		{Show: func(l usageLine) string {
			if l.memory > largest { // the total's
				return ""
			}
			return terminal.Bar(float64(l.memory)/float64(largest), bar)
		}},
		{Name: "IN_BYTES_S", Value: traffic(received, whole), Right: true, Head: "IN/s", Show: traffic(received, short)},
		{Name: "OUT_BYTES_S", Value: traffic(out, whole), Right: true, Head: "OUT/s", Show: traffic(out, short)},
	})
}

// usage measures what runs; nil when nothing does.
func (c *cluster) usage(ctx context.Context) ([]usageLine, error) {
	running, err := c.running(ctx)
	if err != nil || len(running) == 0 {
		return nil, err
	}
	addrs := c.addrs()
	addrs[apiName], addrs[prometheusName] = c.cfg.Addr(), c.prometheusAddr()
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
		return nil, ctx.Err()
	}
	after, seconds := sample(), time.Since(began).Seconds()

	rate := func(before, after uint64) float64 {
		if after < before { // connections were closed meanwhile
			return 0
		}
		return float64(after-before) / seconds
	}
	roles := c.roles()
	var list []usageLine
	for _, name := range append(c.names(), apiName, prometheusName) {
		if _, ok := running[name]; !ok {
			continue
		}
		b, a := before[name], after[name]
		list = append(list, usageLine{
			name: name, role: roles[name], cpu: max(0, a.cpu-b.cpu) / seconds, memory: a.memory,
			received: rate(b.received, a.received), out: rate(b.out, a.out),
		})
	}
	return list, nil
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
