package lookout

import (
	"fmt"
	"testing"

	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// TestUsersOfPartitions: a partitioned table has no statistics of its own that follow
// what is written; those of its partitions do.
func TestUsersOfPartitions(t *testing.T) {
	cfg := testcluster.Open(t)
	conn := testcluster.Primary(t, cfg, 0)
	for _, sql := range []string{ // it hides the shard's own table from this session
		"CREATE TEMP TABLE users (id int) PARTITION BY HASH (id)",
		"CREATE TEMP TABLE users_0 PARTITION OF users FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
		"CREATE TEMP TABLE users_1 PARTITION OF users FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
		"ANALYZE users", // as when they were made, and never again by itself
		"INSERT INTO users SELECT generate_series(1, 100)",
		"SELECT pg_stat_force_next_flush()",
	} {
		testcluster.MustExec(t, conn, sql)
	}
	testcluster.Await(t, func() error {
		found, err := askServer(cfg.Shards[0].Name)(t.Context(), conn)
		if err == nil && found.users != 100 {
			err = fmt.Errorf("%d users, want 100", found.users)
		}
		return err
	})
}
