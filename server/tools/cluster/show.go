package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/jackc/pgx/v5"
	"golang.org/x/term"

	shards "github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
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
	replicas := make(map[int]string)
	for _, i := range c.replicas() {
		replicas[i.shard] = i.addr
	}
	for _, i := range c.primaries() {
		s := c.cfg.Shards[i.shard]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", s.Name, s.Pooler, i.addr, cmp.Or(replicas[i.shard], "none"))
	}
	w.Flush()
	fmt.Printf("\nRedis  %s\nAPI    %s   (make dev starts it)\nData   %s\n", c.cfg.RedisAddr, c.url("/api/v1/users/"), c.dir)
}

// logs shows the logs of the services named, or of all: in a terminal it
// follows them, piped it prints their end.
func (c *cluster) logs(ctx context.Context, names ...string) error {
	args := []string{"-n", "100"}
	if len(names) == 0 {
		names = append(c.names(), apiName, prometheusName)
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

// shardNumber reads SHARD: 3 or shard-3.
func (c *cluster) shardNumber(text string) (int, error) {
	i, err := strconv.Atoi(strings.TrimPrefix(text, "shard-"))
	if err != nil || i < 0 || i >= len(c.cfg.Shards) {
		return 0, fmt.Errorf("SHARD is %q: want a number from 0 to %d", text, len(c.cfg.Shards)-1)
	}
	return i, nil
}

// shell turns this process into psql on a shard's primary.
func (c *cluster) shell(ctx context.Context, shard string) error {
	i, err := c.shardNumber(shard)
	if err != nil {
		return err
	}
	psql, err := program("psql")
	if err != nil {
		return err
	}
	conn, err := shards.ConnectPrimary(ctx, c.cfg.Shards[i].Servers(), func(ctx context.Context, addr string) (*pgx.Conn, error) {
		return c.connectAs(ctx, addr, c.cfg.Shards[i].Database, c.cfg.DBOwner, string(c.cfg.DBOwnerPassword))
	})
	if err != nil {
		return fmt.Errorf("%s: its primary: %w", c.cfg.Shards[i].Name, err)
	}
	host, port := conn.Config().Host, strconv.Itoa(int(conn.Config().Port))
	if err := conn.Close(ctx); err != nil {
		return err
	}
	env := append(os.Environ(), "PGPASSWORD="+string(c.cfg.DBOwnerPassword), "PGCONNECT_TIMEOUT=3")
	return syscall.Exec(psql, []string{"psql", "--host", host, "--port", port, "--username", c.cfg.DBOwner, "--dbname", c.cfg.Shards[i].Database}, env)
}
