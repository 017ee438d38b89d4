// Command cluster runs the whole system natively: PostgreSQL primaries and
// replicas, PgBouncers, Redis and the API as ordinary processes on this
// machine, kept alive by supervisord. The Makefile's commands call it from the
// server directory.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"

	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/terminal"
)

const usage = `usage: cluster COMMAND

  up            start the databases, poolers and Redis; wait until they are ready
  dev           up, then migrate and start the API with hot reload
  down          stop everything; data stays
  down-clean    stop everything and remove this project's data
  ps            what runs, where, in which role
  stats         CPU, memory and traffic of every service
  logs          the API's log          (follows in a terminal)
  logs-all      every service's log    (follows in a terminal)
  restart       replace the API's workers one by one, while they serve
  rebuild       build the API anew, then do the same
  reload        have the databases read their configuration again
  restart-databases replicas-first|primaries-first
                restart them one after the other
  restore DIR   put the backup in DIR in the databases' place (asks first; YES=1 answers)
  fault kill|freeze|thaw SERVICE
                what make chaos does to a service, or to one worker of the API
  monitoring    start Prometheus beside what runs
  failover I    promote shard I's replica and make its primary the replica (ACCEPT_LOSS=1 after a loss)
  containers failover I | finish
                the same in Docker, called by scripts/docker-failover.sh; finish goes on with those that were interrupted
  db-shell I    psql on shard I's primary, as the schema's owner
  without-api -- CMD
                run CMD beside the databases, and keep the API stopped meanwhile
  test [N] -- CMD
                run CMD beside N clusters of its own (1), which are removed afterwards
`

// errUsage is returned for a command line that makes no sense.
var errUsage = errors.New("usage")

func init() {
	// The test cluster's supervisord is told to stop when the thread that
	// started it ends (see dieWithParent); that must be the main thread.
	runtime.LockOSThread()
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err := run(ctx, os.Args[1:])
	var exit *exitError
	switch {
	case err == nil:
	case errors.Is(err, errUsage):
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	case errors.As(err, &exit):
		os.Exit(exit.ExitCode()) // the tests said why
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "interrupted")
		os.Exit(130)
	default:
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errUsage
	}
	switch args[0] {
	case fetchCommand: // this program, called by itself as another user
		if len(args) != 2 {
			return errUsage
		}
		return fetchPostgres(args[1])
	case "test":
		number, command := 1, args[1:]
		if len(command) > 0 {
			if n, err := strconv.Atoi(command[0]); err == nil {
				number, command = n, command[1:]
			}
		}
		if number < 1 || len(command) < 2 || command[0] != "--" {
			return errUsage
		}
		return runTests(ctx, number, command[1:])
	case "containers":
		return runContained(ctx, args[1:])
	}

	c, err := open()
	if err != nil {
		return err
	}
	switch args[0] {
	case "up":
		return c.locked(ctx, c.up)
	case "dev":
		return c.locked(ctx, c.dev)
	case "down":
		return c.locked(ctx, c.down)
	case "down-clean":
		return c.locked(ctx, c.downClean)
	case "restart":
		return c.locked(ctx, c.restart)
	case "rebuild":
		return c.locked(ctx, c.rebuild)
	case "ps":
		return c.ps(ctx, terminal.On(os.Stdout))
	case "stats":
		return c.stats(ctx, terminal.On(os.Stdout))
	case "logs":
		return c.logs(ctx, apiName)
	case "logs-all":
		return c.logs(ctx)
	case "reload":
		return c.locked(ctx, c.reload)
	case "restart-databases":
		if len(args) != 2 || args[1] != "replicas-first" && args[1] != "primaries-first" {
			return errUsage
		}
		return c.locked(ctx, func(ctx context.Context) error { return c.restartDatabases(ctx, args[1] == "replicas-first") })
	case "restore":
		if len(args) != 2 {
			return errUsage
		}
		return c.locked(ctx, func(ctx context.Context) error { return c.restore(ctx, args[1]) })
	case "fault":
		if len(args) != 3 {
			return errUsage
		}
		return c.fault(ctx, args[1], args[2])
	case "without-api":
		if len(args) < 3 || args[1] != "--" {
			return errUsage
		}
		return c.locked(ctx, func(ctx context.Context) error { return c.withoutAPI(ctx, args[2:]) })
	case "monitoring":
		return c.locked(ctx, c.monitoring)
	case "failover":
		if len(args) != 2 {
			return errUsage
		}
		return c.locked(ctx, func(ctx context.Context) error { return c.failover(ctx, args[1]) })
	case "db-shell":
		if len(args) != 2 {
			return errUsage
		}
		return c.shell(ctx, args[1])
	}
	return errUsage
}
