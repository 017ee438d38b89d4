package bootstrap

import (
	"testing"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/repositories/repositoriestest"
	"github.com/messenger-clone/messenger-clone-api/server/internal/persistence/repositories"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// TestShardedUsers runs the contract of repositories.Users over the real shards,
// wired as the server wires them.
func TestShardedUsers(t *testing.T) {
	repositoriestest.Users(t, func(t testing.TB) repositoriestest.Setup {
		t.Helper()
		cfg := testcluster.Open(t)
		router, err := openShards(cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := router.Close(); err != nil {
				t.Error(err)
			}
		})
		return repositoriestest.Setup{
			Store:  repositories.NewShardedUsers(router, cfg.RequestTimeout),
			Settle: func(t testing.TB) { t.Helper(); testcluster.AwaitReplicas(t, cfg) },
		}
	})
}
