package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/migrations"
)

// tool is one run of one command.
type tool struct {
	cfg   config.Config
	set   settings
	files fs.FS
	list  []migrations.Migration // what is in files, oldest first
	con   console
	name  string // what other runs and the databases' logs know this run by
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
	return &tool{cfg: cfg, set: set, files: files, list: list, con: con, name: name}, nil
}

// onEvery calls do for every shard side by side and waits for all of them: what happens to one shard is no reason to
// stop half way on another. An error names its shard.
func (t *tool) onEvery(ctx context.Context, do func(ctx context.Context, i int) error) error {
	errs := make([]error, len(t.cfg.Shards))
	var wg sync.WaitGroup
	for i, shard := range t.cfg.Shards {
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
