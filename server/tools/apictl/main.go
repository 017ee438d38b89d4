// Command apictl asks a running API how it is and shows the answer: as a table to people, and to programs exactly as it came.
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

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/terminal"
)

const usage = `Usage: apictl COMMAND

  health [-table] [-quiet]   the state of each shard; fails when no shard serves
  shards [-table]            users per shard

  -table   show a table, also where the output is not a terminal
  -quiet   print nothing: the exit code is the answer
`

// usageError is a command line that means nothing. The usage follows it.
type usageError string

func (e usageError) Error() string { return string(e) }

// errQuiet is a failure about which nothing is to be printed.
var errQuiet = errors.New("quiet")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], terminal.On(os.Stdout))
	stop()
	var misused usageError
	switch {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
		fmt.Print(usage)
	case errors.Is(err, errQuiet):
		os.Exit(1)
	case errors.As(err, &misused):
		fmt.Fprintf(os.Stderr, "apictl: %v\n\n%s", err, usage)
		os.Exit(2)
	default:
		fmt.Fprintf(os.Stderr, "apictl: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, screen *terminal.Screen) error {
	if len(args) == 0 {
		return usageError("which command?")
	}
	command, show := args[0], map[string]func(context.Context, client, *terminal.Screen) error{"health": health, "shards": shards}[args[0]]
	if command == "help" || command == "-h" || command == "--help" {
		return flag.ErrHelp
	}
	if show == nil {
		return usageError(fmt.Sprintf("unknown command %q", command))
	}

	flags := flag.NewFlagSet("apictl", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // main prints the error and the usage once
	table := flags.Bool("table", screen.Person(), "")
	quiet := new(bool)
	if command == "health" {
		quiet = flags.Bool("quiet", false, "")
	}
	if err := flags.Parse(args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return usageError(err.Error())
	}
	if flags.NArg() > 0 {
		return usageError(command + " takes nothing but its options")
	}
	switch {
	case *quiet:
		screen = terminal.To(io.Discard, false)
	case *table != screen.Person():
		screen = terminal.To(screen, *table)
	}

	cfg, err := config.Load()
	if err == nil {
		err = show(ctx, newClient(cfg), screen)
	}
	if err != nil && *quiet {
		return errQuiet
	}
	return err
}
