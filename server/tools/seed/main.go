// Command seed fills the shards with made-up users and their claims, straight into the primaries. The same seed always
// makes the same users. Interrupted, it goes on at the next run; asked for more, it adds the rest.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/progress"
)

const usage = `usage: seed -users N [-seed S]

Stores the first N users of seed S (default 1) on the shards that own them. Nothing that is there is changed.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	switch {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "seed: interrupted: the next run goes on from here")
		os.Exit(130)
	default:
		fmt.Fprintln(os.Stderr, "seed:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("seed", flag.ContinueOnError)
	flags.Usage = func() { fmt.Fprint(os.Stderr, usage) }
	users, seed := flags.String("users", "", ""), flags.String("seed", "1", "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	want, err := strconv.ParseInt(strings.NewReplacer("_", "", ",", "").Replace(*users), 10, 64)
	if err != nil || want < 1 || want > maxUsers {
		return fmt.Errorf("USERS is %q: want a number from 1 to %s, for example  make seed USERS=1000000", *users, progress.Thousands(maxUsers))
	}
	number, err := strconv.ParseInt(*seed, 10, 64)
	if err != nil {
		return fmt.Errorf("SEED is %q: want a whole number", *seed)
	}
	cfg, err := config.Load("DB_OWNER_PASSWORD")
	if err != nil {
		return err
	}
	s, err := open(ctx, cfg, number, int(want))
	if err != nil {
		return err
	}
	defer s.close()
	return s.run(ctx, os.Stderr)
}
