package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// What a cache does depends on how often the same is asked for. These are the ends: ids of everybody, which hardly ever repeat within a
// measurement, and of some, which nearly always do.
const (
	getAny   = "get, nothing repeats"
	getFew   = "get, of 1,000 users"
	fewUsers = 1000
)

// few are some of a list, from all over it.
func few(list []string) (some []string) {
	n := min(fewUsers, len(list))
	for i := range n {
		some = append(some, list[i*len(list)/n])
	}
	return some
}

// cache measures GET by id with the cache on and without, in turns. Both servers only read.
func (b *bench) cache(ctx context.Context) error {
	return b.withAPI(ctx, 2, noCache, func(api *server) error {
		return b.withAPI(ctx, 2, "redis://"+b.cfg.RedisAddr, func(cached *server) error {
			// A first time is none that repeats.
			if _, err := b.attack(ctx, cached, b.traffic[getFew], 64, time.Second); err != nil {
				return err
			}
			for _, name := range []string{getAny, getFew} {
				for _, connections := range b.connections {
					err := b.load(ctx, key{name, connections, api2}, api, b.duration)
					if err == nil {
						err = b.load(ctx, key{name, connections, cached2}, cached, b.duration)
					}
					if err != nil {
						return fmt.Errorf("%s, %d connections: %w", name, connections, err)
					}
				}
			}
			return nil
		})
	})
}

// cacheGains is a table of what the cache gains or costs; nothing if that was not measured.
func (r *result) cacheGains() string {
	var b strings.Builder
	for _, k := range r.order {
		with, _ := r.of(k)
		without, ok := r.of(key{k.operation, k.connections, api2})
		if k.subject != cached2 || !ok {
			continue
		}
		if b.Len() == 0 {
			b.WriteString("\n| with the cache on | connections | answers/s | p99 | CPU of all that serves |\n|---|--:|--:|--:|--:|\n")
		}
		fmt.Fprintf(&b, "| %s | %d | %+.0f %% | %+.0f %% | %+.0f %% |\n", k.operation, k.connections,
			change(with.rate, without.rate), change(float64(with.p99), float64(without.p99)), change(with.cpu.sum(), without.cpu.sum()))
	}
	return b.String()
}

// change is by how many percent a figure differs from another.
func change(to, from float64) float64 { return (to/from - 1) * 100 }
