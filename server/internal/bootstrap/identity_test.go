package bootstrap

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// TestCheckIdentities starts from settings that are right and makes the
// mistakes a person makes.
func TestCheckIdentities(t *testing.T) {
	cfg := testcluster.Open(t)
	cfg.DBConnectTimeout = 15 * time.Second // a login takes long under the race detector on a machine that is busy
	log := slog.New(slog.DiscardHandler)
	if err := checkIdentities(t.Context(), cfg, log); err != nil {
		t.Fatalf("right settings: %v", err)
	}
	for _, test := range []struct {
		name  string
		wrong func(*config.Config)
		want  []string
	}{
		{"poolers swapped", func(c *config.Config) {
			c.Shards[0].Pooler, c.Shards[1].Pooler = c.Shards[1].Pooler, c.Shards[0].Pooler
		}, []string{"shard-0: its PgBouncer", "database messenger_0 was expected, and messenger_1 found", "shard-1"}},
		{"replicas swapped", func(c *config.Config) {
			c.Shards[2].Replica, c.Shards[3].Replica = c.Shards[3].Replica, c.Shards[2].Replica
		}, []string{"shard-2: its replica", "database messenger_2 was expected, and messenger_3 found"}},
		{
			"fewer shards", func(c *config.Config) { c.Shards = c.Shards[:3] },
			[]string{"shard-0: its users were placed over 5 shards, the settings say 3"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			mistaken := cfg
			mistaken.Shards = append([]config.Shard(nil), cfg.Shards...)
			test.wrong(&mistaken)
			err := checkIdentities(t.Context(), mistaken, log)
			for _, want := range test.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q in it", err, want)
				}
			}
		})
	}
}
