package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/basebackup"
	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/progress"
)

// restore puts a backup in the primaries' place and clones the replicas anew; the roles are then as they were made. Everything that can be wrong with the backup is found
// while what is there still runs, and what is there is removed only after the restored shards have been verified.
func (c *cluster) restore(ctx context.Context, from string) error {
	backup, err := c.readBackup(ctx, from)
	if err != nil {
		return err
	}
	if err := c.findPostgres(ctx); err != nil {
		return err
	}
	if err := c.consent(backup); err != nil {
		return err
	}
	if err := c.unpackBackup(ctx, backup, from); err != nil {
		return errors.Join(err, c.removeEach(incoming))
	}
	if err := c.down(ctx); err != nil {
		return errors.Join(err, c.removeEach(incoming))
	}
	if err := c.swap(); err != nil {
		return err
	}
	for i := range c.cfg.Shards { // a failover that was interrupted is over
		if err := os.RemoveAll(c.journal(i)); err != nil {
			return err
		}
	}
	if err := c.startRestored(ctx); err != nil {
		return fmt.Errorf("%w\nWhat was there before is kept beside it, as %s", err, c.path("data", "…"+outgoing))
	}
	if err := c.removeEach(outgoing); err != nil {
		return err
	}
	c.out.say("restored   %s", backup)
	c.out.say("           Start the API with `make dev`.")
	return nil
}

const (
	incoming = ".restoring" // a data folder that is being unpacked
	outgoing = ".replaced"  // the one it takes the place of
)

// readBackup reads all of it and compares it with the settings.
func (c *cluster) readBackup(ctx context.Context, from string) (*basebackup.Manifest, error) {
	backup, err := basebackup.Read(from)
	if err != nil {
		return nil, err
	}
	if err := backup.Match(c.cfg); err != nil {
		return nil, err
	}
	if major, _, _ := strings.Cut(backup.Postgres, "."); major != postgresMajor {
		return nil, fmt.Errorf("the backup is of PostgreSQL %s, this project runs %s", backup.Postgres, postgresMajor)
	}
	same, err := backup.SamePasswords(c.cfg)
	if err != nil {
		return nil, err
	}
	if !same {
		return nil, errors.New("the data in the backup asks for other passwords than those in .env.secrets: bring the file back that was there when the backup was made")
	}
	if err := backup.CheckRoom(existing(c.path("data")), len(c.replicas()) > 0); err != nil {
		return nil, fmt.Errorf("%w, or set STATE_DIR to a folder on another disk", err)
	}
	display := progress.New(os.Stderr)
	err = backup.Check(ctx, from, display)
	display.Stop()
	return backup, err
}

// consent asks the person before anything is taken away. Without data there is nothing to ask.
func (c *cluster) consent(backup *basebackup.Manifest) error {
	var there []string
	for i, primary := range c.madePrimaries() {
		system, err := systemIdentifier(c.dataDir(primary))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		whose := "another database than the backup's"
		if fmt.Sprint(system) == backup.Shards[i].System {
			whose = "the same database, as it is now"
		}
		there = append(there, fmt.Sprintf("  %s  %s: %s", primary.name, c.dataDir(primary), whose))
	}
	if len(there) == 0 || os.Getenv("YES") == "1" {
		return nil
	}
	question := fmt.Sprintf("This is a %s.\nRestoring it destroys what is in\n%s\nand stops the API.", backup, strings.Join(there, "\n"))
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return fmt.Errorf("%s\nThere is no terminal to ask at: give YES=1 to say that it is meant; nothing was changed", question)
	}
	c.out.say("%s\nType yes to go on:", question)
	answer, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil || strings.TrimSpace(answer) != "yes" {
		return errors.New("not confirmed; nothing was changed")
	}
	return nil
}

// unpackBackup makes the data folders beside those that are there.
func (c *cluster) unpackBackup(ctx context.Context, backup *basebackup.Manifest, from string) error {
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return err
	}
	if err := c.account.folder(c.path("data")); err != nil {
		return err
	}
	if err := c.removeEach(incoming); err != nil {
		return err
	}
	display := progress.New(os.Stderr)
	defer display.Stop()
	g, ctx := errgroup.WithContext(ctx)
	for i, primary := range c.madePrimaries() {
		g.Go(func() error {
			dir := c.dataDir(primary) + incoming
			if err := os.Mkdir(dir, 0o700); err != nil {
				return err
			}
			if err := backup.Extract(ctx, from, i, dir, display); err != nil {
				return err
			}
			return c.account.own(dir)
		})
	}
	return g.Wait()
}

// swap renames every folder, or none where one fails.
func (c *cluster) swap() error {
	if err := c.removeEach(outgoing); err != nil {
		return err
	}
	var undo []func() error
	move := func(from, to string) error {
		err := os.Rename(from, to)
		if errors.Is(err, fs.ErrNotExist) && strings.HasSuffix(to, outgoing) {
			return nil // there was none
		}
		if err == nil {
			undo = append(undo, func() error { return os.Rename(to, from) })
		}
		return err
	}
	err := func() error {
		for _, i := range c.instances() { // a replica of what was there is none of what comes
			if err := move(c.dataDir(i), c.dataDir(i)+outgoing); err != nil {
				return err
			}
		}
		for _, i := range c.madePrimaries() {
			if err := move(c.dataDir(i)+incoming, c.dataDir(i)); err != nil {
				return err
			}
		}
		return nil
	}()
	if err == nil {
		return nil
	}
	errs := []error{err}
	for i := len(undo) - 1; i >= 0; i-- {
		errs = append(errs, undo[i]())
	}
	return errors.Join(errs...)
}

// startRestored starts the data tier on what was unpacked, which replays its log up to the cut, and verifies it.
func (c *cluster) startRestored(ctx context.Context) error {
	if err := c.prepare(ctx); err != nil {
		return err
	}
	if err := c.startData(ctx, false); err != nil {
		return err
	}
	return c.out.step("verifying", "verified", "every user and every claim", func() error {
		cmd := exec.CommandContext(ctx, filepath.Join(c.root, ".build", "verify"))
		cmd.Dir = filepath.Join(c.root, "server")
		said, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("verify: %w\n%s", err, bytes.TrimSpace(said))
		}
		return nil
	})
}

// removeEach removes what a restore left beside the data folders.
func (c *cluster) removeEach(suffix string) error {
	var errs []error
	for _, i := range c.instances() {
		errs = append(errs, os.RemoveAll(c.dataDir(i)+suffix))
	}
	return errors.Join(errs...)
}
