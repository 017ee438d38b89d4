// Command bench measures how close the API comes to what PostgreSQL and an empty handler can do on this machine. It starts servers of its
// own beside the databases that run, loads them with wrk, has pgbench do the same single-row statements, and prints and saves a table.
//
// Its servers must be the only ones that write: a server knows its own writes, not another's.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/config"
)

func main() {
	do := func(ctx context.Context) error { return run(ctx, os.Args[1:]) }
	if len(os.Args) == 2 && os.Args[1] == nullCommand {
		do = serveNull
	}
	if err := untilTold(do); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// untilTold does something until it is done, or a signal ends it.
func untilTold(do func(context.Context) error) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return do(ctx)
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	users := flags.Int("users", 1_000_000, "so many users must be there, from whom ids are drawn")
	duration := flags.Duration("duration", 2*time.Second, "of each measurement")
	rounds := flags.Int("rounds", 3, "how often each is repeated; medians are quoted")
	only := flags.String("only", "", "what to measure, separated by commas: "+strings.Join(allNames(), ", ")+"; all if empty")
	save := flags.String("save", "../docs/benchmarks", "folder for the results")
	api := flags.String("api", "../.build/api", "the server's program")
	if err := flags.Parse(args); err != nil {
		return err
	}
	names := allNames()
	if *only != "" {
		names = strings.Split(*only, ",")
	}
	for _, name := range names {
		if !slices.Contains(allNames(), name) {
			return fmt.Errorf("ONLY names %q: want some of %s", name, strings.Join(allNames(), ", "))
		}
	}
	if *duration < time.Second || *rounds < 1 || *users < 1 {
		return errors.New("DURATION, ROUNDS and USERS must be 1 or more")
	}
	cfg, err := config.Load("DB_PASSWORD", "DB_OWNER_PASSWORD")
	if err != nil {
		return err
	}
	executable, err := os.Executable()
	if err != nil {
		return err
	}
	program, err := filepath.Abs(*api)
	if err != nil {
		return err
	}
	b := &bench{
		cfg: cfg, users: *users, duration: *duration, rounds: *rounds, names: names,
		connections: []int{16, 64, 512}, many: 10_000, depth: 500_000, default7: true,
		api: []string{program}, null: []string{executable, nullCommand}, out: os.Stderr,
	}
	result, err := b.run(ctx)
	if err != nil && result != nil {
		result.complete = false // and what there is, is shown
	}
	if result != nil {
		err = errors.Join(err, result.publish(os.Stdout, *save))
	}
	return err
}
