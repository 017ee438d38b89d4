package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"

	ps "github.com/shirou/gopsutil/v4/process"
)

// syncFolder makes the names in a folder outlast a crash of the machine.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// writeUpstream has a standby's folder name the primary that it follows.
func (c *cluster) writeUpstream(dir string, primary instance, shard int) error {
	host, port, err := net.SplitHostPort(primary.addr)
	if err != nil {
		return err
	}
	return c.setUpstream(dir, fmt.Sprintf("primary_conninfo = 'host=%s port=%s user=messenger_replication password=%s application_name=%s connect_timeout=3'\nprimary_slot_name = '%s'\n",
		host, port, c.env["DB_REPLICATION_PASSWORD"], slotName(shard), slotName(shard)))
}

var upstreamLines = regexp.MustCompile(`(?m)^\s*(primary_conninfo|primary_slot_name)\s*=.*\n?`)

// setUpstream replaces what postgresql.auto.conf says of that, and leaves what a person set there by ALTER SYSTEM.
func (c *cluster) setUpstream(dir, lines string) error {
	path := filepath.Join(dir, "postgresql.auto.conf")
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	text = upstreamLines.ReplaceAll(text, nil)
	if len(text) > 0 && !bytes.HasSuffix(text, []byte("\n")) {
		text = append(text, '\n')
	}
	if err := c.account.write(path+".partial", append(text, lines...)); err != nil {
		return err
	}
	return os.Rename(path+".partial", path)
}

// postmaster is the process id of the instance's server, or 0.
func (c *cluster) postmaster(i instance) int {
	text, err := os.ReadFile(filepath.Join(c.dataDir(i), "postmaster.pid"))
	if err != nil {
		return 0
	}
	first, _, _ := bytes.Cut(text, []byte("\n"))
	pid, err := strconv.Atoi(string(first))
	if err != nil || syscall.Kill(pid, 0) != nil {
		return 0
	}
	return pid
}

// kill ends a server by force, its backends too: one that is stopped (SIGSTOP) outlives
// its postmaster and keeps the next one from starting.
func kill(ctx context.Context, postmaster int) error {
	p, err := ps.NewProcessWithContext(ctx, int32(postmaster))
	if err != nil {
		return nil //nolint:nilerr // it has ended meanwhile
	}
	return signalAll(family(ctx, "", p), syscall.SIGKILL)
}

// poll waits until check is true, and looks often: somebody's requests are waiting.
func poll(ctx context.Context, most time.Duration, check func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !check() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
