package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/host"
)

// contained is the keeper of the Docker runtime. This program runs in a container itself, with
// the volumes of all databases, and has the host start and stop theirs. Their entrypoint
// (database/postgres/entrypoint.sh) takes from the folder what to be.
type contained struct {
	*cluster
	host *host.Host
}

const (
	// containedState is where the failover service of docker-compose.yml has its volumes.
	containedState = "/state"
	// containedFolder is the data folder in a database's volume.
	containedFolder = "pgdata"
	// fencedMark in a data folder keeps its server from following anybody.
	fencedMark = "messenger.fenced"
)

// runContained does one of the commands for containers.
func runContained(ctx context.Context, args []string) error {
	var command func(*cluster) error
	switch {
	case len(args) == 2 && args[0] == "failover":
		command = func(c *cluster) error { return c.failover(ctx, args[1]) }
	case len(args) == 1 && args[0] == "finish":
		command = func(c *cluster) error { return c.finishFailovers(ctx) }
	default:
		return errUsage
	}
	c, err := openContained()
	if err != nil {
		return err
	}
	return c.locked(ctx, func(context.Context) error { return command(c) })
}

// openContained opens what docker-compose.yml runs. It must be called in its service failover,
// as root, and goes on as the user that the databases run as: files stay theirs, and they know
// their superuser by that.
func openContained() (*cluster, error) {
	cfg, err := config.Load("POSTGRES_PASSWORD", "DB_OWNER_PASSWORD", "DB_PASSWORD", "DB_REPLICATION_PASSWORD")
	if err != nil {
		return nil, err
	}
	c := &cluster{cfg: cfg, env: toMap(cfg.Environ()), dir: containedState, folder: containedFolder, sockets: make(map[string]string), out: newSteps(os.Stderr)}
	c.keeper = contained{c, host.New(os.Stdout, os.Stdin)}
	for _, i := range c.instances() {
		c.sockets[i.addr] = c.path("data", i.name)
	}
	if err := c.becomeOwner(); err != nil {
		return nil, fmt.Errorf("become the databases' user: %w", err)
	}
	return c, nil
}

// becomeOwner gives up being root for being the owner of the volumes.
func (c *cluster) becomeOwner() error {
	for _, i := range c.instances() {
		var volume syscall.Stat_t
		if err := syscall.Stat(c.path("data", i.name), &volume); err != nil {
			return err
		}
		if volume.Uid == 0 { // no server has used it yet
			continue
		}
		uid, gid := int(volume.Uid), int(volume.Gid)
		return errors.Join(os.Chown(c.dir, uid, gid), syscall.Setgroups(nil), syscall.Setgid(gid), syscall.Setuid(uid))
	}
	return errors.New("no volume has an owner: start everything with  make up")
}

// prepare implements keeper.
func (k contained) prepare(context.Context) error { return nil }

// start implements keeper.
func (k contained) start(_ context.Context, services ...string) error {
	return k.host.Do(append([]string{"start"}, services...)...)
}

// stop implements keeper.
func (k contained) stop(_ context.Context, i instance, patience time.Duration) error {
	if patience == 0 {
		return k.host.Do("end", i.name)
	}
	return k.host.Do("stop", wholeSeconds(patience), i.name)
}

// cycle implements keeper.
func (k contained) cycle(ctx context.Context, i instance, patience time.Duration) error {
	if patience == 0 {
		if err := k.stop(ctx, i, 0); err != nil {
			return err
		}
		return k.start(ctx, i.name)
	}
	return k.host.Do("restart", wholeSeconds(patience), i.name)
}

func wholeSeconds(d time.Duration) string { return strconv.Itoa(int(d.Seconds())) }

// fence implements keeper.
func (k contained) fence(i instance) error {
	dir := k.dataDir(i)
	if !fileExists(dir) {
		return nil
	}
	// In this order: a standby that is not fenced follows the other one, which may follow it.
	for _, name := range []string{fencedMark, standbySignal} {
		if err := k.account.write(filepath.Join(dir, name), nil); err != nil {
			return err
		}
	}
	return syncFolder(dir)
}

// unfence implements keeper.
func (k contained) unfence(i instance) error {
	return removeFrom(k.dataDir(i), standbySignal, fencedMark)
}

// follow implements keeper.
func (k contained) follow(ctx context.Context, i, _ instance) error {
	if err := removeFrom(k.dataDir(i), fencedMark); err != nil {
		return err
	}
	return k.cycle(ctx, i, stopTimeout)
}

// clone implements keeper. The instance's entrypoint does it when it finds no folder.
func (k contained) clone(ctx context.Context, i instance) error {
	if err := k.start(ctx, i.name); err != nil {
		return err
	}
	for size := int64(-1); ; {
		if poll(ctx, readyTimeout, func() bool { return fileExists(k.dataDir(i)) }) == nil {
			return nil
		}
		now := folderSize(k.dataDir(i) + ".partial")
		if ctx.Err() != nil || now == size {
			return fmt.Errorf("%s does not clone its primary: nothing came in %s. %s", i.name, readyTimeout, k.logEnd(i.name))
		}
		size = now // a large one takes longer
	}
}

// folderSize is the size of all files in it, as far as they can be seen.
func folderSize(dir string) (size int64) {
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // it is being filled, files come and go
		}
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			size += info.Size()
		}
		return nil
	})
	return size
}

// lead implements keeper.
func (k contained) lead(_ context.Context, shard int) error {
	return k.host.Do("lead", poolerName(shard), k.primaries()[shard].name)
}

// serverDir implements keeper.
func (k contained) serverDir(instance) string {
	return "/var/lib/postgresql/data/" + containedFolder
}

// logEnd implements keeper.
func (k contained) logEnd(service string) string {
	return "See the log of its container: docker compose logs " + service
}
