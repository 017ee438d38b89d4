// Command api is the server: one master process and its workers. With
// -check-config it only says whether the settings are sound.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/messenger-clone/messenger-clone-api/server/internal/bootstrap"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "api:", err)
		os.Exit(1)
	}
}

func run() error {
	checkConfig := flag.Bool("check-config", false, "check the settings and exit")
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q; the settings are environment variables", flag.Arg(0))
	}
	if *checkConfig {
		return bootstrap.CheckConfig()
	}
	// The signals stay caught until the end: a second one must not cut a drain short.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return bootstrap.Run(ctx, os.Stdout)
}
