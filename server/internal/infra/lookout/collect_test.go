package lookout

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestOnlyReplicasLoseTheirSlot: a shard that has no replica keeps nothing for it.
func TestOnlyReplicasLoseTheirSlot(t *testing.T) {
	t.Parallel()
	l := New([]Shard{
		{Name: "alone", Servers: []Server{{Name: "alone"}}},
		{Name: "pair", Servers: []Server{{Name: "pair"}, {Name: "pair-replica"}}},
	})
	for i := range l.servers {
		l.servers[i][0].found.Store(&found[serverFound]{up: true, what: serverFound{slotStatus: "missing"}})
	}
	err := testutil.CollectAndCompare(l, strings.NewReader(`
# HELP messenger_slot_lost 1 if what the replica needs is no longer kept: it has to be cloned again (make up).
# TYPE messenger_slot_lost gauge
messenger_slot_lost{shard="pair"} 1
`), "messenger_slot_lost")
	if err != nil {
		t.Error(err)
	}
}

// TestPoolsOfAShard: a PgBouncer has a pool for each user, and one of its own.
func TestPoolsOfAShard(t *testing.T) {
	t.Parallel()
	l := New([]Shard{{Name: "a"}})
	f := poolerFound{sums: map[string]int64{}}
	for _, pool := range []map[string]string{
		{"database": "messenger_0", "user": "api", "cl_active": "5", "cl_waiting": "1", "sv_idle": "2", "maxwait": "1", "maxwait_us": "900000"},
		{"database": "messenger_0", "user": "owner", "cl_active": "1", "cl_waiting": "1", "sv_idle": "1", "maxwait": "2", "maxwait_us": "250000"},
		{"database": "pgbouncer", "user": "api", "cl_active": "1", "cl_waiting": "0", "sv_idle": "0", "maxwait": "0", "maxwait_us": "0"},
	} {
		f.add(pool)
	}
	l.poolers[0].found.Store(&found[poolerFound]{up: true, what: f})
	err := testutil.CollectAndCompare(l, strings.NewReader(`
# HELP messenger_pooler_clients Clients of PgBouncer, by whether they wait for a connection to the primary.
# TYPE messenger_pooler_clients gauge
messenger_pooler_clients{shard="a",state="active"} 6
messenger_pooler_clients{shard="a",state="waiting"} 2
# HELP messenger_pooler_wait_seconds How long the client has waited that waits longest for a connection to the primary.
# TYPE messenger_pooler_wait_seconds gauge
messenger_pooler_wait_seconds{shard="a"} 2.25
`), "messenger_pooler_clients", "messenger_pooler_wait_seconds")
	if err != nil {
		t.Error(err)
	}
}
