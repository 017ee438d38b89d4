package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"time"
)

//go:embed wrk.lua
var wrkScript []byte

// traffic is what wrk sends to a server.
type traffic struct {
	method string // GET, POST or PUT
	path   string // before a record
	mark   string // of the addresses that POST makes
	file   string // of records, drawn from uniformly; none if empty
	length int    // of a record
}

// wrkSummary is what the script prints.
type wrkSummary struct {
	Requests, Micros, P50, P99 int64
	Connect, Read, Write       int64 // sockets that failed
	Status                     int64 // answers of 400 and above
	Timeout                    int64
}

// attack sends requests over so many connections, each its next as soon as it is answered.
func attack(ctx context.Context, script, url string, t traffic, connections int, duration time.Duration) (measurement, error) {
	args := []string{
		"-t", strconv.Itoa(min(2, connections)), "-c", strconv.Itoa(connections), "-d", strconv.Itoa(int(duration.Seconds())) + "s",
		"--timeout", "10s", "-s", script, url, "--", t.method, t.path, t.mark,
	}
	if t.file != "" {
		args = append(args, t.file, strconv.Itoa(t.length))
	}
	out, err := exec.CommandContext(ctx, "wrk", args...).CombinedOutput()
	if err != nil {
		return measurement{}, fmt.Errorf("wrk: %w: %s", err, out)
	}
	return parseWrk(out)
}

func parseWrk(out []byte) (m measurement, err error) {
	_, line, found := bytes.Cut(out, []byte("\nRESULT "))
	var s wrkSummary
	if !found || json.Unmarshal(bytes.TrimSpace(line), &s) != nil {
		return m, fmt.Errorf("wrk: no result in what it says:\n%s", out)
	}
	m = measurement{
		failed: s.Connect + s.Read + s.Write + s.Status + s.Timeout,
		p50:    time.Duration(s.P50) * time.Microsecond, p99: time.Duration(s.P99) * time.Microsecond,
	}
	m.answers = s.Requests - s.Status
	if m.answers <= 0 || s.Micros <= 0 {
		return m, fmt.Errorf("wrk: nothing was answered well: %s", line)
	}
	m.rate = float64(m.answers) / (float64(s.Micros) / 1e6)
	return m, nil
}

// needPrograms finds out before anything is started what is missing. Debian has a pgbench that only says that there is none.
func needPrograms(ctx context.Context) error {
	_, wrkErr := exec.LookPath("wrk")
	said, pgbenchErr := exec.CommandContext(ctx, "pgbench", "--version").CombinedOutput()
	if pgbenchErr != nil {
		pgbenchErr = fmt.Errorf("pgbench: %w %s", pgbenchErr, bytes.TrimSpace(said))
	}
	if err := errors.Join(wrkErr, pgbenchErr); err != nil {
		return fmt.Errorf("make bench needs wrk and pgbench, and installs them where it may; on Debian: apt-get install wrk postgresql-contrib\n%w", err)
	}
	return nil
}
