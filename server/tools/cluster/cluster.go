package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/messenger-clone/messenger-clone-api/server/config"
)

const (
	apiName   = "messenger_server"
	redisName = "redis"
)

// cluster is one installation: its settings, its folders, its processes. All but a failover is of the native one only.
type cluster struct {
	cfg     config.Config
	env     map[string]string // the settings as variables, secrets included
	root    string            // the checkout
	dir     string            // everything that lives longer than a command: data, logs, generated configuration
	account account           // who the databases run as
	out     *steps
	keeper  keeper            // of the databases' processes
	folder  string            // in Docker: the data folder in a database's volume
	sockets map[string]string // in Docker: the folder of the socket by which the superuser reaches the server of an address
	tuned   bool              // by scripts/tune-postgres.sh, if somebody ran it
	atStep  func(step string) // a test's: called before each step of a failover
	hold    bool              // a test's: supervisord is a child that cannot outlive this program, and there is no API

	postgres string // folder of PostgreSQL 16's programs, set by findPostgres
}

// instance is one PostgreSQL server.
type instance struct {
	name    string // shard-0 or shard-0-replica, by what it was made as
	shard   int
	replica bool // its role, which a failover changes
	addr    string
}

// open reads the settings of this checkout. It must be called from server/.
func open() (*cluster, error) {
	cfg, err := config.Load("POSTGRES_PASSWORD", "DB_OWNER_PASSWORD", "DB_PASSWORD", "DB_REPLICATION_PASSWORD")
	if err != nil {
		return nil, err
	}
	server, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	c := &cluster{cfg: cfg, env: toMap(cfg.Environ()), root: filepath.Dir(server), out: newSteps(os.Stderr), tuned: true}
	c.keeper = supervised{c}
	if c.account, err = serviceAccount(); err != nil {
		return nil, err
	}
	c.dir = c.env["STATE_DIR"]
	switch {
	case c.dir != "":
		if c.dir, err = filepath.Abs(c.dir); err != nil {
			return nil, err
		}
	case c.account.other:
		// Run by root, the databases belong to another user, who could not
		// enter a checkout below /root.
		sum := sha256.Sum256([]byte(c.root))
		c.dir = filepath.Join("/var/lib/messenger-clone", filepath.Base(c.root)+"-"+hex.EncodeToString(sum[:4]))
	default:
		c.dir = filepath.Join(c.root, ".state")
	}
	if err := c.checkAddrs(); err != nil {
		return nil, err
	}
	// sun_path holds 104 bytes on macOS, 108 on Linux.
	if len(c.path("run", "supervisor.sock")) > 103 {
		return nil, fmt.Errorf("the path of the state folder, %s, is too long for the socket in it: set STATE_DIR to a shorter one", c.dir)
	}
	return c, nil
}

// checkAddrs refuses addresses of other machines, which this program cannot start.
func (c *cluster) checkAddrs() error {
	for name, addr := range c.addrs() {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return fmt.Errorf("address of %s: %w", name, err)
		}
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return fmt.Errorf("%s is to be at %s, which is not this machine's loopback: the native runtime starts local processes only; "+
				"start that one yourself and run only the API, or remove its setting", name, addr)
		}
	}
	return nil
}

// path is a path inside the state folder.
func (c *cluster) path(parts ...string) string {
	return filepath.Join(append([]string{c.dir}, parts...)...)
}

func (c *cluster) dataDir(i instance) string { return c.path("data", i.name, c.folder) }

func poolerName(shard int) string { return fmt.Sprintf("pgbouncer-%d", shard) }

// addrs lists where each service of the data tier listens.
func (c *cluster) addrs() map[string]string {
	addrs := map[string]string{redisName: c.cfg.RedisAddr}
	for _, i := range c.instances() {
		addrs[i.name] = i.addr
	}
	for i, s := range c.cfg.Shards {
		addrs[poolerName(i)] = s.Pooler
	}
	return addrs
}

// locked runs one command at a time per state folder.
func (c *cluster) locked(ctx context.Context, command func(context.Context) error) error {
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return fmt.Errorf("make the state folder: %w (STATE_DIR can name another)", err)
	}
	lock, err := os.OpenFile(c.path("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := flock(lock); err != nil {
		c.out.say("waiting for another make command of this project to end")
		for err != nil {
			if !errors.Is(err, syscall.EWOULDBLOCK) {
				return fmt.Errorf("lock %s: %w", lock.Name(), err)
			}
			if err := pause(ctx); err != nil {
				return err
			}
			err = flock(lock)
		}
	}
	return command(ctx)
}

func flock(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}

func toMap(environ []string) map[string]string {
	m := make(map[string]string, len(environ))
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		m[name] = value
	}
	return m
}
