package main

import (
	"strings"
	"testing"

	"github.com/messenger-clone/messenger-clone-api/server/config"
)

// TestWithoutAPINeedsDatabases: what measures must not start without them.
func TestWithoutAPINeedsDatabases(t *testing.T) {
	t.Parallel()
	c := &cluster{
		cfg: config.Config{RedisAddr: "127.0.0.1:1", Shards: []config.Shard{{Name: "shard-0", Primary: "127.0.0.1:2", Pooler: "127.0.0.1:3"}}},
		dir: t.TempDir(),
	}
	err := c.withoutAPI(t.Context(), []string{"false"})
	if err == nil || !strings.Contains(err.Error(), "not running: shard-0, pgbouncer-0, redis") || !strings.Contains(err.Error(), "make up") {
		t.Errorf("got %v, want who does not run and what to do", err)
	}
}
