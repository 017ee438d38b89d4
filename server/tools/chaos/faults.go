package main

import (
	"context"
	"fmt"

	"github.com/messenger-clone/messenger-clone-api/server/config"
)

// promise is what a fault may cost clients; what is not said it may not.
type promise struct {
	refused bool // 503 with Retry-After, from the shard whose server it is
	late    bool // the same from any shard, of requests whose time has run out in a process that stood still
	cut     bool // connections of the process that was killed, and nobody to connect to while the API is away
}

// fault is one thing that may happen.
type fault struct {
	name    string
	promise promise
	begin   func(context.Context, system) error
	end     func(context.Context, system) error // after the fault was held; nil if it ends by itself
}

// allFaults are those of every part, where a shard is to suffer of shard i.
func allFaults(cfg config.Config, i int) []fault {
	primary, replica, pooler := cfg.Shards[i].Name+"/primary", cfg.Shards[i].Name+"/replica", fmt.Sprintf("pgbouncer-%d", i)
	shardAway, nothing := promise{refused: true}, promise{}
	list := []fault{
		killing("worker", promise{cut: true}),
		freezing("worker", promise{late: true}),
		killing("messenger_server", promise{cut: true}),
		freezing("messenger_server", nothing),
		killing(primary, shardAway),
		freezing(primary, shardAway),
		killing(pooler, shardAway),
		freezing(pooler, shardAway),
	}
	if cfg.Shards[i].Replica != "" {
		shard := fmt.Sprintf("SHARD=%d", i)
		list = append(list,
			killing(replica, nothing),
			freezing(replica, nothing),
			commanding("make failover", nothing, "failover", shard),
			commanding("make failover, back", nothing, "failover", shard),
		)
	}
	return append(list,
		killing("redis", nothing),
		freezing("redis", nothing),
		commanding("make restart", nothing, "restart"),
	)
}

func killing(service string, p promise) fault {
	return fault{name: "kill " + service, promise: p, begin: func(ctx context.Context, s system) error { return s.Fault(ctx, "kill", service) }}
}

func freezing(service string, p promise) fault {
	return fault{
		name: "freeze " + service, promise: p,
		begin: func(ctx context.Context, s system) error { return s.Fault(ctx, "freeze", service) },
		end:   func(ctx context.Context, s system) error { return s.Fault(ctx, "thaw", service) },
	}
}

func commanding(name string, p promise, command string, settings ...string) fault {
	return fault{name: name, promise: p, begin: func(ctx context.Context, s system) error { return s.Command(ctx, command, settings...) }}
}
