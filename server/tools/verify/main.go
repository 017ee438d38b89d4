// Command verify reads every shard and tells whether each user and each claim to
// an e-mail address is where it belongs. It exits with 1 when one is not.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/progress"
)

// errWrong is what a verification that found something ends with.
var errWrong = errors.New("the shards do not agree: see above")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "verify:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	cfg, err := config.Load("DB_OWNER_PASSWORD")
	if err != nil {
		return err
	}
	v, err := connect(ctx, cfg)
	if err != nil {
		return err
	}
	defer v.close()
	display := progress.New(os.Stderr)
	report, err := v.verify(ctx, display)
	display.Stop()
	if err != nil {
		return err
	}
	report.print(os.Stdout)
	if report.wrong() > 0 {
		return errWrong
	}
	return nil
}
