package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/config"
)

const (
	testShards = 5
	testPrefix = "messenger-clone-test-"
	aliveFile  = "alive" // is locked as long as the cluster's program lives
)

// runTests runs a command beside clusters of its own: real primaries, replicas,
// poolers and Redis on free ports, in temporary folders, with passwords of their
// own. The command finds their settings in the files that TEST_CLUSTER lists, and those of
// the first in its environment, too. However this program ends, the clusters stop.
func runTests(ctx context.Context, number int, args []string) (err error) {
	began := time.Now()
	var files, environ []string
	shards := 0
	for range number { // one after the other: a busy machine has enough to do with one
		c, stop, failed := startTest(ctx)
		if failed != nil {
			return failed
		}
		defer func() { err = errors.Join(err, stop()) }()
		if files = append(files, c.path("settings")); environ == nil {
			environ, shards = c.testEnviron(), len(c.cfg.Shards)
		}
	}
	for _, entry := range append(environ, "TEST_CLUSTER="+strings.Join(files, string(filepath.ListSeparator))) {
		name, value, _ := strings.Cut(entry, "=")
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	newSteps(os.Stderr).say("ready      %s of %d shards after %.1f s", count(number, "test cluster", "test clusters"), shards, time.Since(began).Seconds())
	return runCommand(ctx, args)
}

// startTest starts a test cluster. The function that it returns stops and removes it.
func startTest(ctx context.Context) (started *cluster, stop func() error, err error) {
	c, err := openTest()
	if err != nil {
		return nil, nil, err
	}
	lock, err := os.OpenFile(c.path(aliveFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(c.dir))
	}
	remove := func() error { return errors.Join(os.RemoveAll(c.dir), lock.Close()) }
	end := remove
	defer func() {
		if err != nil {
			err = errors.Join(err, end())
		}
	}()
	if err := flock(lock); err != nil {
		return nil, nil, fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	if err := c.prepare(ctx); err != nil {
		return nil, nil, err
	}
	if _, err := c.writeFiles(false); err != nil {
		return nil, nil, err
	}
	if err := c.initPrimaries(ctx); err != nil {
		return nil, nil, err
	}
	stopProcesses, err := c.superviseHere(ctx)
	if err != nil {
		return nil, nil, err
	}
	end = func() error { return errors.Join(stopProcesses(), remove()) }
	if err := c.startGroups(ctx); err != nil {
		return nil, nil, err
	}
	if err := c.migrate(ctx); err != nil {
		return nil, nil, err
	}
	if err := os.WriteFile(c.path("settings"), []byte(strings.Join(c.testEnviron(), "\n")), 0o600); err != nil {
		return nil, nil, err
	}
	return c, end, nil
}

// testEnviron is what tests know a cluster by.
func (c *cluster) testEnviron() []string {
	return append(c.cfg.Environ(), "TEST_SUPERVISOR="+c.supervisorFile())
}

// openTest makes the settings and the folder of a test cluster.
func openTest() (*cluster, error) {
	removeStale()
	server, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	account, err := serviceAccount()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", testPrefix)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // the databases' account passes through
		return nil, err
	}
	shards, err := wantedShards()
	if err != nil {
		return nil, err
	}
	settings, err := testSettings(dir, shards)
	if err != nil {
		return nil, err
	}
	// What the developer has set for `make dev` must not reach the tests.
	for _, name := range config.Names() {
		if name != "POSTGRES_BIN" {
			if err := os.Unsetenv(name); err != nil {
				return nil, err
			}
		}
	}
	for name, value := range settings {
		if err := os.Setenv(name, value); err != nil {
			return nil, err
		}
	}
	cfg, err := config.LoadEnv()
	if err != nil {
		return nil, err
	}
	c := &cluster{cfg: cfg, env: toMap(cfg.Environ()), root: filepath.Dir(server), dir: dir, account: account, out: newSteps(os.Stderr), hold: true}
	c.keeper = supervised{c}
	return c, nil
}

// wantedShards is what TEST_SHARDS says, for who wants a cluster of another shape.
func wantedShards() (int, error) {
	text := cmp.Or(os.Getenv("TEST_SHARDS"), strconv.Itoa(testShards))
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 16 {
		return 0, fmt.Errorf("%q shards: want a number from 1 to 16", text)
	}
	return n, nil
}

// testSettings picks a free port for everything that listens. All are held
// until the last is known, so that none is picked twice.
func testSettings(dir string, shards int) (map[string]string, error) {
	settings := map[string]string{
		"STATE_DIR": dir, "SHARDING_ENABLED": "true", "SHARDING_COUNT": fmt.Sprint(shards),
		"POSTGRES_PASSWORD": rand.Text(), "DB_PASSWORD": rand.Text(), "DB_OWNER_PASSWORD": rand.Text(), "DB_REPLICATION_PASSWORD": rand.Text(),
	}
	var held []net.Listener
	defer func() {
		for _, l := range held {
			_ = l.Close()
		}
	}()
	names := []string{"REDIS_ADDR", "ADMIN_ADDR", "PROMETHEUS_ADDR"}
	for i := range shards {
		for _, role := range []string{"WRITE", "PRIMARY", "REPLICA"} {
			names = append(names, fmt.Sprintf("SHARD_%d_%s_ADDR", i, role))
		}
	}
	for _, name := range names {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		held = append(held, l)
		settings[name] = l.Addr().String()
	}
	return settings, nil
}

// removeStale removes the folders of test clusters whose program was killed;
// their processes ended with it.
func removeStale() {
	folders, _ := filepath.Glob(filepath.Join(os.TempDir(), testPrefix+"*"))
	for _, dir := range folders {
		lock, err := os.Open(filepath.Join(dir, aliveFile))
		if err != nil {
			continue
		}
		if flock(lock) == nil {
			_ = os.RemoveAll(dir)
		}
		_ = lock.Close()
	}
}

// superviseHere runs supervisord as a child that cannot outlive this program.
func (c *cluster) superviseHere(ctx context.Context) (stop func() error, err error) {
	path, err := program("supervisord")
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), path, "--nodaemon", "--silent", "-c", c.supervisorFile())
	cmd.Env = c.processEnv()
	dieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // also when it is told to stop by its own client
	stop = func() error {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
		if err := <-ended; err != nil {
			return fmt.Errorf("supervisord of the test cluster: %w", err)
		}
		return nil
	}
	if err := c.awaitSupervisor(ctx); err != nil {
		return nil, errors.Join(err, stop())
	}
	return stop, nil
}

// exitError is the failure of the command that `cluster test` ran, which has told
// its user about it.
type exitError struct{ *exec.ExitError }

// runCommand runs the tests in a process group of their own, so that an
// interrupt reaches all of it once and in order: the tests, then the cluster.
func runCommand(ctx context.Context, args []string) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	dieWithParent(cmd)
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	if err := cmd.Start(); err != nil {
		return err
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		err = &exitError{exit}
	}
	// What the tests started and left behind ends with them.
	if killErr := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); killErr != nil && !errors.Is(killErr, syscall.ESRCH) {
		err = errors.Join(err, killErr)
	}
	return err
}
