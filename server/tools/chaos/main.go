// Command chaos does to the running system what may happen to it, one fault after another, while clients create, update, delete and read
// users. It keeps a journal of what was acknowledged, prints what each fault cost, and proves at the end that nothing is lost, doubled or
// stale. It exits with 1 when a promise was broken.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/host"
)

// errBroken is what a run that broke a promise ends with.
var errBroken = errors.New("promises were broken: see above")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return
		}
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	clients := flags.Int("clients", 16, "how many clients send requests, one after another each")
	hold := flags.Duration("hold", 5*time.Second, "how long a service stays frozen")
	victim := flags.Int("shard", 1, "the shard whose servers suffer")
	only := flags.String("only", "", "faults to do, by number or by a part of their names, separated by commas; all if empty")
	contained := flags.Bool("contained", false, "this runs in a container, and asks its host to do the faults (scripts/docker-host.sh)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	cfg, err := config.Load()
	if err != nil {
		return err
	}
	if *victim < 0 || *victim >= len(cfg.Shards) {
		return fmt.Errorf("-shard is %d: want 0 to %d", *victim, len(cfg.Shards)-1)
	}
	faults, err := pick(allFaults(cfg, *victim), *only)
	if err != nil {
		return err
	}
	var names []string
	for _, s := range cfg.Shards {
		names = append(names, s.Name)
	}
	ring, err := shard.NewRing(names)
	if err != nil {
		return err
	}
	c := &chaos{
		url: "http://" + cfg.Addr(), ring: ring, victim: names[*victim],
		clients: *clients, hold: *hold, faults: faults, system: operator{}, out: os.Stdout,
	}
	if *contained {
		c.system = outside{host.New(os.Stdout, os.Stdin)}
	}
	return c.run(ctx)
}

// pick are the faults that somebody asked for.
func pick(all []fault, only string) (list []fault, err error) {
	if only == "" {
		return all, nil
	}
	for part := range strings.SplitSeq(only, ",") {
		found := false
		for i, f := range all {
			if part != "" && (part == fmt.Sprint(i+1) || strings.Contains(f.name, part)) {
				list, found = append(list, f), true
			}
		}
		if !found {
			var names []string
			for i, f := range all {
				names = append(names, fmt.Sprintf("  %2d %s", i+1, f.name))
			}
			return nil, fmt.Errorf("there is no fault %q; these are known:\n%s", part, strings.Join(names, "\n"))
		}
	}
	return list, nil
}
