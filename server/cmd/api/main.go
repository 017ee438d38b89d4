// Command api is the server: one master process and its workers. With
// -check-config it only says whether the settings are sound.
//
// SIGTERM and SIGINT end it once what is in flight is finished. SIGHUP makes it
// replace its workers one by one, by those of the program and the settings as
// they are then, while it serves.
package main

import (
	"context"
	"errors"
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
	generation := flag.Bool("generation", false, "check the settings, print which programs can serve under one master with this one, and exit")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		return fmt.Errorf("unexpected argument %q; the settings are environment variables", flag.Arg(0))
	case *checkConfig:
		return bootstrap.CheckConfig()
	case *generation:
		return printGeneration()
	}
	// The signals stay caught until the end: a second one must not cut a drain short.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	signal.Ignore(syscall.SIGPIPE) // that the log's reader has ended ends nobody else
	rolls := make(chan os.Signal, 1)
	signal.Notify(rolls, syscall.SIGHUP)
	err := bootstrap.Run(ctx, os.Stdout, rolls)
	if errors.Is(err, bootstrap.ErrRestart) && ctx.Err() == nil {
		return again()
	}
	return err
}

// again starts the program that is on disk now, in this process.
func again() error {
	executable, err := os.Executable()
	if err != nil {
		return fmt.Errorf("restart: %w", err)
	}
	return fmt.Errorf("restart: %w", syscall.Exec(executable, os.Args, os.Environ())) //nolint:gosec // it is ourselves
}

func printGeneration() error {
	if err := bootstrap.CheckConfig(); err != nil {
		return err
	}
	generation, err := bootstrap.Generation()
	if err != nil {
		return err
	}
	_, err = fmt.Println(generation)
	return err
}
