package bootstrap

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/repositories/repositoriestest"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/freshness"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/metrics"
	"github.com/messenger-clone/messenger-clone-api/server/internal/persistence/repositories"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// TestShardedUsers runs the contract of repositories.Users over the real shards,
// wired as the server wires them.
func TestShardedUsers(t *testing.T) {
	repositoriestest.Users(t, func(t testing.TB) repositoriestest.Setup {
		t.Helper()
		cfg := testcluster.Open(t)
		// Many log in at once here, which takes long under the race detector on a machine that is busy.
		cfg.DBConnectTimeout, cfg.RequestTimeout = 15*time.Second, 20*time.Second
		table, f, err := freshness.Create(len(cfg.Shards), cfg.RequestTimeout)
		if err != nil {
			t.Fatal(err)
		}
		counts, err := metrics.CreatePrivate(len(cfg.Shards))
		if err != nil {
			t.Fatal(err)
		}
		router, err := openShards(cfg, table, nil, counts.Worker(0), nil, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := errors.Join(router.Close(), table.Close(), f.Close(), counts.Close()); err != nil {
				t.Error(err)
			}
		})
		return repositoriestest.Setup{
			Store:  repositories.NewShardedUsers(router, cfg.RequestTimeout),
			Settle: func(t testing.TB) { t.Helper(); testcluster.AwaitReplicas(t, cfg) },
		}
	})
}
