package bootstrap

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
	"github.com/messenger-clone/messenger-clone-api/server/migrations"
)

func TestRefusesSchemaOlderThanItNeeds(t *testing.T) {
	cfg := testcluster.Open(t)
	cfg.DBConnectTimeout = 15 * time.Second // a login takes long under the race detector on a machine that is busy
	conn := testcluster.Primary(t, cfg, 2)
	newest := testcluster.MustQuery[int](t, conn, "SELECT version FROM schema_migrations")[0]
	const set = "UPDATE schema_migrations SET version = $1, dirty = $2"
	t.Cleanup(func() {
		if _, err := conn.Exec(context.Background(), set, newest, false); err != nil {
			t.Error(err)
		}
	})
	for _, test := range []struct {
		name    string
		version int
		dirty   bool
		refused bool
	}{
		{"what it needs", migrations.Required, false, false},
		{"newer", newest + 1000, false, false},
		{"older", migrations.Required - 1, false, true},
		{"half way", migrations.Required, true, true},
	} {
		testcluster.MustExec(t, conn, set, test.version, test.dirty)
		var said bytes.Buffer
		err := checkSchemas(t.Context(), cfg, slog.New(slog.NewTextHandler(&said, nil)))
		if refused := err != nil; refused != test.refused {
			t.Errorf("%s: got %v, want it refused: %t", test.name, err, test.refused)
		}
		if said.Len() > 0 {
			t.Errorf("%s: logged %s", test.name, &said)
		}
		if err != nil && !(strings.HasPrefix(err.Error(), "shard-2 is at version") && strings.HasSuffix(err.Error(), "run `make migrate-up`")) {
			t.Errorf("%s: got %q, want the shard, what is wrong and what to do", test.name, err)
		}
	}
}
