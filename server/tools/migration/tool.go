package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/migrations"
)

// tool is one run of one command.
type tool struct {
	cfg        config.Config
	shards     []config.Shard // that this run is about
	set        settings
	files      fs.FS
	list       []migrations.Migration // what is in files, oldest first
	con        console
	dry        bool   // say what would be done, and do nothing
	partitions int    // that users shall have
	name       string // what other runs and the databases' logs know this run by
}

func newTool(command string, cfg config.Config, set settings, files fs.FS, con console) (*tool, error) {
	list, err := migrations.List(files)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, errors.New("no migrations there")
	}
	host, err := os.Hostname()
	if err != nil {
		host = "an unnamed host"
	}
	name := fmt.Sprintf("migration %s, process %d on %s", command, os.Getpid(), host)
	return &tool{cfg: cfg, shards: cfg.Shards, set: set, files: files, list: list, con: con, name: name}, nil
}

// choose restricts the run to the shards in list, numbers or names with commas between them; an empty one means all.
func (t *tool) choose(list string) error {
	if list == "" {
		return nil
	}
	var chosen []config.Shard
	wanted := strings.Split(list, ",")
	for i, shard := range t.cfg.Shards {
		n := len(wanted)
		wanted = slices.DeleteFunc(wanted, func(w string) bool {
			w = strings.TrimSpace(w)
			return w == shard.Name || w == strconv.Itoa(i)
		})
		if len(wanted) < n {
			chosen = append(chosen, shard)
		}
	}
	if len(wanted) > 0 {
		return usageError(fmt.Sprintf("there is no shard %q: want some of 0 to %d, with commas between them", wanted[0], len(t.cfg.Shards)-1))
	}
	t.shards = chosen
	return nil
}

// onEvery calls do for every shard side by side and waits for all of them: what happens to one shard is no reason to
// stop half way on another. An error names its shard.
func (t *tool) onEvery(ctx context.Context, do func(ctx context.Context, i int) error) error {
	errs := make([]error, len(t.shards))
	var wg sync.WaitGroup
	for i, shard := range t.shards {
		wg.Go(func() {
			if err := do(ctx, i); err != nil {
				errs[i] = fmt.Errorf("%s: %w", shard.Name, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// label is a version as a person knows it.
func (t *tool) label(version int) string {
	switch {
	case version < 1:
		return "none"
	case version > len(t.list):
		return fmt.Sprintf("%06d (not among these files)", version)
	default:
		return t.list[version-1].String()
	}
}
