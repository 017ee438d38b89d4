package main

import (
	"context"
	"time"
)

// keeper keeps a shard's servers running, and is asked by a failover for what differs between
// the runtimes: supervised natively, contained in Docker.
type keeper interface {
	// prepare is called before the others.
	prepare(ctx context.Context) error
	// start has services run, named as in `make ps`. Who runs already is left alone, and nobody
	// is waited for.
	start(ctx context.Context, services ...string) error
	// stop ends an instance's server, which then stays away: cleanly if it does that within
	// patience, else by force, all its processes.
	stop(ctx context.Context, i instance, patience time.Duration) error
	// cycle ends it in the same way and has it start again by what its folder says by then. It
	// does not wait for that.
	cycle(ctx context.Context, i instance, patience time.Duration) error

	// fence makes a primary's folder a standby's that follows nobody, before its server is
	// stopped: from its next start on it takes no writes, whoever starts it. It still sends
	// what it has to its replica.
	fence(i instance) error
	// unfence undoes that. The server must not be running: one that comes up then goes on
	// where it was, on its own timeline.
	unfence(i instance) error
	// follow has a fenced server follow another one.
	follow(ctx context.Context, i, primary instance) error
	// clone makes the data folder of an instance that has none, from the shard's primary, and
	// starts its server.
	clone(ctx context.Context, i instance) error
	// lead has the file of a shard's pooler name the primary.
	lead(ctx context.Context, shard int) error

	// serverDir is an instance's data folder as its server names it.
	serverDir(i instance) string
	// logEnd is the end of a service's log, or where to find it, for an error message.
	logEnd(service string) string
}
