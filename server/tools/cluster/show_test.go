package main

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/terminal"
)

// testShow reads what `make ps` and `make stats` print as a program does, and looks at what people see.
func testShow(t *testing.T, c *cluster) {
	t.Helper()
	primary, replica := c.primaries()[0], c.replicas()[0]
	ps := func() map[string]map[string]string {
		return mustRows(t, func(s *terminal.Screen) error { return c.ps(t.Context(), s) },
			"SERVICE", "ROLE", "STATE", "LAG_BYTES", "ADDRESS", "PID", "UPTIME_S")
	}
	rows := ps()
	for name, want := range map[string][]string{
		primary.name: {"primary", "running", primary.addr}, replica.name: {"replica", "streaming", replica.addr},
		poolerName(0): {"pooler", "running", c.cfg.Shards[0].Pooler}, redisName: {"cache", "running", c.cfg.RedisAddr}, apiName: {"api", "stopped", c.cfg.Addr()},
	} {
		row := rows[name]
		if got := []string{row["ROLE"], row["STATE"], row["ADDRESS"]}; !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
		_, pidErr := strconv.Atoi(row["PID"])
		_, upErr := strconv.Atoi(row["UPTIME_S"])
		_, lagErr := strconv.Atoi(row["LAG_BYTES"])
		if runs := name != apiName; runs != (pidErr == nil) || runs != (upErr == nil) || (name == replica.name) != (lagErr == nil) {
			t.Errorf("%s: got %v", name, row)
		}
	}

	// One that hangs is told from one that runs.
	pid := mustRunning(t, c)[replica.name].pid
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	impatient, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	role, state, _ := c.look(impatient, replica, service{name: replica.name, role: roleReplica, state: "running"})
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if role != roleReplica || state != stateSilent {
		t.Errorf("a frozen replica is %s and %s", role, state)
	}

	stats := mustRows(t, func(s *terminal.Screen) error { return c.stats(t.Context(), s) },
		"SERVICE", "ROLE", "CPU_PERCENT", "MEMORY_BYTES", "IN_BYTES_S", "OUT_BYTES_S")
	for name, row := range stats {
		cpu, cpuErr := strconv.ParseFloat(row["CPU_PERCENT"], 64)
		memory, memoryErr := strconv.Atoi(row["MEMORY_BYTES"])
		if cpuErr != nil || memoryErr != nil || cpu < 0 || memory < 1<<20 {
			t.Errorf("%s: got %v, want its CPU and its memory", name, row)
		}
	}
	if _, known := stats["total"]; known || stats[replica.name]["ROLE"] != roleReplica {
		t.Errorf("got %v, want the services, and no sum: programs add up themselves", stats)
	}

	var seen bytes.Buffer
	if err := showUsage(terminal.To(&seen, true), []usageLine{{name: primary.name, cpu: 100, memory: 1 << 20}, {name: replica.name, memory: 1 << 19}}, true); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"CPU", "MEMORY", "IN/s", "MiB", "██████", "total"} {
		if !strings.Contains(seen.String(), want) {
			t.Errorf("people see\n%s\nwithout %q", &seen, want)
		}
	}
	seen.Reset()
	if err := c.ps(t.Context(), terminal.To(&seen, true)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"● running", "● streaming", "○ stopped", "LAG", "UP"} {
		if !strings.Contains(seen.String(), want) {
			t.Errorf("people see\n%s\nwithout %q", &seen, want)
		}
	}
}

// mustRows reads a table by its heading, of which each line has a word in each column. Rows are by their first.
func mustRows(t *testing.T, show func(*terminal.Screen) error, heads ...string) map[string]map[string]string {
	t.Helper()
	var out bytes.Buffer
	if err := show(terminal.To(&out, false)); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if got := strings.Fields(lines[0]); !slices.Equal(got, heads) {
		t.Fatalf("columns are %v, want %v", got, heads)
	}
	rows := make(map[string]map[string]string)
	for _, line := range lines[1:] {
		words := strings.Fields(line)
		if len(words) != len(heads) {
			t.Fatalf("%q has %d words, want one for each of %v", line, len(words), heads)
		}
		row := make(map[string]string)
		for i, head := range heads {
			row[head] = words[i]
		}
		rows[words[0]] = row
	}
	return rows
}
