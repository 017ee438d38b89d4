// Command migration changes the schema of all shards with one command: side by side, each straight on its primary (never
// through PgBouncer, where session locks do not hold), one run at a time per cluster.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"github.com/messenger-clone/messenger-clone-api/server/config"
)

const usage = `Usage: migration [-config FILE] [-shards LIST] [-dry-run] [-partitions N] COMMAND

  make NAME   write the next numbered pair of SQL files (no database needed)
  up          apply every pending migration on every shard
  down        take the newest migration back on every shard (asks first, unless YES=1)
  latest      bring every shard to the newest version, whatever each stands at
  status      show each shard's version and what is pending
  partition   turn users into a hash-partitioned table, while it is in use
  unpartition turn it back, or give up what was begun

  -config FILE   the tool's own settings (default migration.yml)
  -shards LIST   only these shards, by number or name: 0,3 or shard-0,shard-3
  -dry-run       say what would be done, and change nothing
  -partitions N  how many users shall have (default 8)
`

// usageError is a command line that means nothing. The usage follows it.
type usageError string

func (e usageError) Error() string { return string(e) }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], console{
		in:          os.Stdin,
		interactive: term.IsTerminal(int(os.Stdin.Fd())),
		out:         &lines{w: os.Stdout},
		err:         &lines{w: os.Stderr},
		yes:         os.Getenv("YES") == "1",
	})
	stop()
	var misused usageError
	switch {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
		fmt.Print(usage)
	case errors.As(err, &misused):
		fmt.Fprintf(os.Stderr, "migration: %v\n\n%s", err, usage)
		os.Exit(2)
	default:
		fmt.Fprintf(os.Stderr, "migration: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, c console) error {
	flags := flag.NewFlagSet("migration", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // main prints the error and the usage once
	path := flags.String("config", "migration.yml", "")
	chosen := flags.String("shards", "", "")
	dry := flags.Bool("dry-run", false, "")
	partitions := flags.Int("partitions", 8, "")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return usageError(err.Error())
	}
	command, operands := flags.Arg(0), flags.Args()
	switch {
	case command == "":
		return usageError("which command?")
	case command == "help":
		return flag.ErrHelp
	case command == "make" && len(operands) != 2:
		return usageError("make takes one NAME, such as add_messages_table")
	case command != "make" && len(operands) != 1:
		return usageError(command + " takes nothing after it")
	}

	set, err := loadSettings(*path)
	if err != nil {
		return err
	}
	if command == "make" {
		return makePair(set.Directory, operands[1], c.out)
	}

	actions := map[string]func(*tool, context.Context) error{
		"up": (*tool).up, "latest": (*tool).up, "down": (*tool).down, "status": (*tool).status,
		"partition": (*tool).partition, "unpartition": (*tool).unpartition,
	}
	action, ok := actions[command]
	if !ok {
		return usageError(fmt.Sprintf("unknown command %q", command))
	}
	cfg, err := config.Load("DB_OWNER_PASSWORD")
	if err != nil {
		return err
	}
	files, origin, err := openFiles(set.Directory)
	if err != nil {
		return err
	}
	t, err := newTool(command, cfg, set, files, c)
	if err != nil {
		return fmt.Errorf("%s: %w", origin, err)
	}
	t.dry, t.partitions = *dry, *partitions
	if err := t.choose(*chosen); err != nil {
		return err
	}
	c.err.printf("migration %s: files from %s, newest %s; %d of %d shards", command, origin, t.label(len(t.list)), len(t.shards), len(t.cfg.Shards))
	return action(t, ctx)
}
