package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"

	"golang.org/x/term"
)

// url is the address of the API as a client on this machine uses it.
func (c *cluster) url(path string) string {
	host := c.cfg.Host
	if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(c.cfg.Port)) + path
}

// table says what listens where, after a start.
func (c *cluster) table() {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "\nSHARD\tPGBOUNCER (writes)\tPRIMARY\tREPLICA (reads)")
	for _, s := range c.cfg.Shards {
		replica := s.Replica
		if replica == "" {
			replica = "none"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", s.Name, s.Pooler, s.Primary, replica)
	}
	w.Flush()
	fmt.Printf("\nRedis  %s\nAPI    %s   (make dev starts it)\nData   %s\n", c.cfg.RedisAddr, c.url("/api/v1/users/"), c.dir)
}

// ps lists every service: its state, process, address and, asked of the
// databases themselves, its role.
func (c *cluster) ps(ctx context.Context) error {
	list, err := c.processes(ctx)
	if err != nil {
		return err
	}
	if list == nil {
		fmt.Println("Nothing runs. `make dev` starts everything.")
		return nil
	}
	states := make(map[string]process)
	for _, p := range list {
		states[p.program()] = p
	}
	addrs := c.addrs()
	addrs[apiName] = c.cfg.Addr()
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "SERVICE\tSTATE\tPID\tADDRESS\tROLE\tUPTIME")
	for _, name := range append(c.names(), apiName) {
		p, known := states[name]
		if !known {
			p = process{state: "STOPPED"}
		}
		pid, uptime := "-", "-"
		if p.pid != 0 {
			pid = strconv.Itoa(p.pid)
			if _, after, found := strings.Cut(p.rest, "uptime "); found {
				uptime = after
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", name, strings.ToLower(p.state), pid, addrs[name], c.role(ctx, name, p), uptime)
	}
	return w.Flush()
}

// role asks a database what it is; other services have one by their name.
func (c *cluster) role(ctx context.Context, name string, p process) string {
	index := slices.IndexFunc(append(c.primaries(), c.replicas()...), func(i instance) bool { return i.name == name })
	switch {
	case name == apiName:
		return "api"
	case name == redisName:
		return "cache"
	case index < 0:
		return "pooler"
	case p.pid == 0:
		return "-"
	}
	i := append(c.primaries(), c.replicas()...)[index]
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	recovering, streaming, err := c.identify(ctx, i)
	switch {
	case err != nil:
		return "does not answer"
	case !recovering:
		return "primary"
	case streaming:
		return "replica, streaming"
	}
	return "replica, not streaming"
}

// logs shows the logs of the services named, or of all: in a terminal it
// follows them, piped it prints their end.
func (c *cluster) logs(ctx context.Context, names ...string) error {
	args := []string{"-n", "100"}
	if len(names) == 0 {
		names = append(c.names(), apiName)
		args = []string{"-n", "10"}
	}
	if term.IsTerminal(int(os.Stdout.Fd())) {
		args = append(args, "-F")
	}
	found := false
	for _, name := range names {
		if path := c.path("log", name+".log"); fileExists(path) {
			args, found = append(args, path), true
		}
	}
	if !found {
		return fmt.Errorf("there is no log in %s yet: start something with `make dev`", c.path("log"))
	}
	cmd := exec.CommandContext(ctx, "tail", args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil && ctx.Err() == nil { // Ctrl-C is how one leaves
		return err
	}
	return nil
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// shell turns this process into psql on a shard's primary.
func (c *cluster) shell(_ context.Context, shard string) error {
	i, err := strconv.Atoi(strings.TrimPrefix(shard, "shard-"))
	if err != nil || i < 0 || i >= len(c.cfg.Shards) {
		return fmt.Errorf("SHARD is %q: want a number from 0 to %d", shard, len(c.cfg.Shards)-1)
	}
	psql, err := program("psql")
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(c.cfg.Shards[i].Primary)
	if err != nil {
		return err
	}
	env := append(os.Environ(), "PGPASSWORD="+string(c.cfg.DBOwnerPassword), "PGCONNECT_TIMEOUT=3")
	return syscall.Exec(psql, []string{"psql", "--host", host, "--port", port, "--username", c.cfg.DBOwner, "--dbname", c.cfg.Shards[i].Database}, env)
}
