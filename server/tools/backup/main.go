// Command backup makes a backup of all shards while they serve, and unpacks one. The native runtime's `cluster restore` and
// scripts/docker.sh put what is unpacked in the databases' place.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/basebackup"
	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/progress"
)

const usage = `usage: backup COMMAND

  create DIR            a backup of all shards in DIR, which must not exist
  check DIR [ON]        what the backup is of, after reading all of it; fails if it is damaged or not for these settings, or if
                        the disk that the folder ON is on lacks the room for it and its replicas
  unpack DIR TO         every shard's data folder, side by side, as TO, where {shard} stands for shard-0 and so on
`

var errUsage = errors.New("usage")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	switch {
	case err == nil:
	case errors.Is(err, errUsage):
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "backup: interrupted; nothing of it is left")
		os.Exit(130)
	default:
		fmt.Fprintln(os.Stderr, "backup:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 2 && args[0] == "create":
		return create(ctx, args[1])
	case len(args) == 2 && args[0] == "check":
		return check(ctx, args[1], "")
	case len(args) == 3 && args[0] == "check":
		return check(ctx, args[1], args[2])
	case len(args) == 3 && args[0] == "unpack":
		return unpack(ctx, args[1], args[2])
	}
	return errUsage
}

func create(ctx context.Context, dir string) error {
	cfg, err := config.Load("DB_OWNER_PASSWORD", "DB_PASSWORD", "DB_REPLICATION_PASSWORD")
	if err != nil {
		return err
	}
	began := time.Now()
	display := progress.New(os.Stderr)
	m, err := basebackup.Create(ctx, basebackup.SourceOf(cfg), dir, display)
	display.Stop()
	if err != nil {
		return err
	}
	fmt.Printf("%s: %s of %s in %.1f s; writes waited for %d ms\n", dir, progress.Size(m.Packed()), progress.Size(m.Unpacked()), time.Since(began).Seconds(), m.BlockedMS)
	fmt.Printf("It shows all shards at %s. Keep .env.secrets with it: the data asks for those passwords, and they are not in it.\n", m.Cut.Format(time.RFC3339))
	return nil
}

func check(ctx context.Context, dir, on string) error {
	cfg, err := config.Load()
	if err != nil {
		return err
	}
	m, err := basebackup.Read(dir)
	if err != nil {
		return err
	}
	if err := m.Match(cfg); err != nil {
		return err
	}
	if on != "" {
		if err := m.CheckRoom(on, true); err != nil {
			return err
		}
	}
	display := progress.New(os.Stderr)
	err = m.Check(ctx, dir, display)
	display.Stop()
	if err != nil {
		return err
	}
	fmt.Println(m)
	return nil
}

func unpack(ctx context.Context, dir, to string) error {
	m, err := basebackup.Read(dir)
	if err != nil {
		return err
	}
	display := progress.New(os.Stderr)
	defer display.Stop()
	g, ctx := errgroup.WithContext(ctx)
	for i, s := range m.Shards {
		folder := strings.ReplaceAll(to, "{shard}", s.Name)
		g.Go(func() error {
			if err := os.Mkdir(folder, 0o700); err != nil {
				return err
			}
			return m.Extract(ctx, dir, i, folder, display)
		})
	}
	return g.Wait()
}
