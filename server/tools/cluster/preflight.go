package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	psnet "github.com/shirou/gopsutil/v4/net"
	ps "github.com/shirou/gopsutil/v4/process"
)

const (
	// neededFiles is what PgBouncer may open: max_client_conn 10,000,
	// max_db_connections 300, and its own.
	neededFiles = 10500
	// neededDisk is for ten data folders with min_wal_size 128 MB each and room to work.
	neededDisk = 3 << 30
)

// preflight refuses what would fail later in a less clear way.
func (c *cluster) preflight(ctx context.Context) error {
	if err := c.checkShape(); err != nil {
		return err
	}
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return err
	}
	if files.Max < neededFiles {
		return fmt.Errorf("a process may open %d files here, PgBouncer needs %d for its 10,000 clients: raise the limit (ulimit -Hn %d as root, or nofile in /etc/security/limits.conf) and log in again",
			files.Max, neededFiles, neededFiles)
	}
	if _, err := os.Stat(c.path("data")); errors.Is(err, os.ErrNotExist) {
		if err := checkDisk(existing(c.dir)); err != nil {
			return err
		}
	}
	return c.checkPorts(ctx)
}

// checkShape refuses to start with another number of shards than the data was
// made with: the ring would look for most users on the wrong shard.
func (c *cluster) checkShape() error {
	complete, err := os.ReadFile(c.path("shards"))
	if errors.Is(err, fs.ErrNotExist) { // the first start, or one that was interrupted: nothing can have been written yet
		return nil
	}
	if err != nil {
		return err
	}
	if want := fmt.Sprint(len(c.cfg.Shards)); strings.TrimSpace(string(complete)) != want {
		return fmt.Errorf("the data in %s is spread over %s shards, the settings ask for %s: set SHARDING_ENABLED and SHARDING_COUNT back, "+
			"or name another folder with STATE_DIR, or remove the data with `make down-clean`", c.dir, strings.TrimSpace(string(complete)), want)
	}
	return nil
}

// existing is path or the nearest folder above it that exists.
func existing(path string) string {
	for {
		if _, err := os.Stat(path); err == nil || path == filepath.Dir(path) {
			return path
		}
		path = filepath.Dir(path)
	}
}

func checkDisk(dir string) error {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		return err
	}
	if free := disk.Bavail * uint64(disk.Bsize); free < neededDisk {
		return fmt.Errorf("%s has %.1f GiB free, a new cluster needs %d GiB: free some, or name a folder on another disk with STATE_DIR", dir, float64(free)/(1<<30), neededDisk>>30)
	}
	return nil
}

// checkPorts names who holds a port that one of our stopped processes needs.
func (c *cluster) checkPorts(ctx context.Context) error {
	running, err := c.running(ctx)
	if err != nil {
		return err
	}
	var taken []error
	addrs := c.addrs()
	for _, name := range c.names() {
		if _, ours := running[name]; !ours {
			taken = append(taken, checkPort(ctx, name, addrs[name]))
		}
	}
	return errors.Join(taken...)
}

// names lists the services in the order they are shown.
func (c *cluster) names() []string {
	var names []string
	for _, i := range c.instances() {
		names = append(names, i.name)
	}
	for i := range c.cfg.Shards {
		names = append(names, poolerName(i))
	}
	return append(names, redisName)
}

func checkPort(ctx context.Context, name, addr string) error {
	l, err := net.Listen("tcp", addr)
	if err == nil {
		return l.Close()
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s cannot listen on %s: %w", name, addr, err)
	}
	return fmt.Errorf("%s needs %s, which %s", name, addr, holder(ctx, addr))
}

// services are the systemd units by which distributions run what may hold our ports.
var services = map[string]string{"pgbouncer": "pgbouncer", "redis-server": "redis-server", "postgres": "postgresql"}

// holder tells who listens on addr and how to stop it.
func holder(ctx context.Context, addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	connections, err := psnet.ConnectionsWithContext(ctx, "tcp")
	if err != nil {
		return fmt.Sprintf("is taken: find out by whom with  ss -ltnp 'sport = :%s'", port)
	}
	for _, conn := range connections {
		if conn.Status != "LISTEN" || fmt.Sprint(conn.Laddr.Port) != port || conn.Pid == 0 {
			continue
		}
		process, err := ps.NewProcess(conn.Pid)
		if err != nil {
			continue
		}
		name, _ := process.NameWithContext(ctx)
		stop := fmt.Sprintf("kill %d", conn.Pid)
		if name == "docker-proxy" {
			stop = "see docker ps --filter publish=" + port
		}
		if unit, known := services[name]; known {
			if exec.CommandContext(ctx, "systemctl", "is-active", "--quiet", unit).Run() == nil {
				stop = "sudo systemctl stop " + unit
			}
		}
		return fmt.Sprintf("%s (process %d) holds: stop it (%s), or set another port", name, conn.Pid, stop)
	}
	return fmt.Sprintf("another user's process holds: find it with  sudo ss -ltnp 'sport = :%s'  and stop it, or set another port", port)
}
