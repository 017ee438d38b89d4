package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/procfs"
)

// Steady measurements, whose connections are as many as are needed.
const (
	steadyAlone  = "get at a constant rate"
	steadyBeside = "get at a constant rate, beside stats"
	steadyStats  = "stats, 50/s beside it"
)

// measurement is what one run of a load came to.
type measurement struct {
	answers, failed int64
	rate            float64 // answers a second
	p50, p99        time.Duration
	cpu             cpu    // seconds per 1,000 answers
	memory          uint64 // of the API, in bytes
}

func (c cpu) per(answers int64) cpu {
	f := 1000 / float64(answers)
	return cpu{c.api * f, c.postgres * f, c.pooler * f, c.redis * f, c.load * f}
}

// sum is what serving costs, without the load's own.
func (c cpu) sum() float64 { return c.api + c.postgres + c.pooler + c.redis }

// key says what was measured.
type key struct {
	operation   string
	connections int // 0: as many as it takes
	subject     string
}

func (k key) line(m measurement) string {
	return fmt.Sprintf("%-36s %5d  %-16s %9.0f/s  p50 %8s  p99 %8s  %d failed", k.operation, k.connections, k.subject, m.rate, millis(m.p50), millis(m.p99), m.failed)
}

// result is all that was measured.
type result struct {
	date       time.Time
	commit     string
	machine    string
	conditions string
	complete   bool   // everything was measured
	shape      string // in the name, where it is not the usual five shards
	mu         sync.Mutex
	order      []key
	all        map[key][]measurement
}

func newResult(ctx context.Context, b *bench) (*result, error) {
	commit := "unknown"
	if out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty", "--exclude=*").Output(); err == nil {
		commit = strings.TrimSpace(string(out))
	}
	cpus, err := b.meter.proc.CPUInfo()
	if err != nil || len(cpus) == 0 {
		return nil, errors.Join(errors.New("the processors cannot be read from /proc"), err)
	}
	mem, err := b.meter.proc.Meminfo()
	if err != nil {
		return nil, err
	}
	load, err := b.meter.proc.LoadAvg()
	if err != nil {
		return nil, err
	}
	var version string
	if err := b.set.Conns[0].QueryRow(ctx, "SHOW server_version").Scan(&version); err != nil {
		return nil, err
	}
	shape := ""
	if n := len(b.cfg.Shards); n != 5 {
		shape = fmt.Sprintf("-shards-%d", n)
	}
	return &result{
		shape: shape,
		date:  time.Now().UTC(), commit: commit, machine: machine(cpus, mem) + ", PostgreSQL " + version,
		conditions: fmt.Sprintf("%d shards, medians of %d rounds of %s each, load average before: %.2f", len(b.cfg.Shards), b.rounds, b.duration, load.Load1),
		complete:   slices.Equal(b.names, allNames()), all: make(map[key][]measurement),
	}, nil
}

func machine(cpus []procfs.CPUInfo, mem procfs.Meminfo) string {
	text := fmt.Sprintf("%d × %s", len(cpus), cpus[0].ModelName)
	if mem.MemTotal != nil {
		text += fmt.Sprintf(", %.0f GiB", float64(*mem.MemTotal)/(1<<20))
	}
	return text + ", " + runtime.Version()
}

func (r *result) add(k key, m measurement) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.all[k]; !known {
		r.order = append(r.order, k)
	}
	r.all[k] = append(r.all[k], m)
}

// of returns the median of each figure; ok is false if it was not measured.
func (r *result) of(k key) (m measurement, ok bool) {
	list := r.all[k]
	if len(list) == 0 {
		return m, false
	}
	m.rate = median(list, func(m measurement) float64 { return m.rate })
	m.p50 = median(list, func(m measurement) time.Duration { return m.p50 })
	m.p99 = median(list, func(m measurement) time.Duration { return m.p99 })
	m.memory = median(list, func(m measurement) uint64 { return m.memory })
	m.cpu = cpu{
		api:      median(list, func(m measurement) float64 { return m.cpu.api }),
		postgres: median(list, func(m measurement) float64 { return m.cpu.postgres }),
		pooler:   median(list, func(m measurement) float64 { return m.cpu.pooler }),
		redis:    median(list, func(m measurement) float64 { return m.cpu.redis }),
		load:     median(list, func(m measurement) float64 { return m.cpu.load }),
	}
	for _, each := range list {
		m.failed += each.failed
		m.answers += each.answers
	}
	return m, true
}

func median[T float64 | time.Duration | uint64](list []measurement, of func(measurement) T) T {
	values := make([]T, len(list))
	for i, m := range list {
		values[i] = of(m)
	}
	slices.Sort(values)
	return values[(len(values)-1)/2]
}

// best is the highest rate of a subject, over whatever number of connections.
func (r *result) best(operation, subject string) (best float64) {
	for k := range r.all {
		if m, _ := r.of(k); k.operation == operation && k.subject == subject {
			best = max(best, m.rate)
		}
	}
	return best
}

// failures lists what was not answered as it must be.
func (r *result) failures() error {
	var errs []error
	for _, k := range r.order {
		if m, _ := r.of(k); m.failed > 0 {
			errs = append(errs, fmt.Errorf("%s, %d connections, %s: %d of %d failed", k.operation, k.connections, k.subject, m.failed, m.failed+m.answers))
		}
	}
	if len(r.order) == 0 {
		errs = append(errs, errors.New("nothing was measured"))
	}
	return errors.Join(errs...)
}

// publish prints the result and, if it is complete, saves it with its plot.
func (r *result) publish(out *os.File, folder string) error {
	name := fmt.Sprintf("%s-%s%s", r.date.Format("2006-01-02"), r.commit, r.shape)
	text := r.markdown(name + ".svg")
	if _, err := out.WriteString(text); err != nil {
		return err
	}
	if r.complete {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
		path := filepath.Join(folder, name)
		err := errors.Join(os.WriteFile(path+".md", []byte(text), 0o644), os.WriteFile(path+".svg", []byte(r.plot()), 0o644))
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "saved %s.md and its plot\n", path)
	}
	return r.failures()
}

func millis(d time.Duration) string {
	if d == 0 {
		return "–" // pgbench does not tell
	}
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}
