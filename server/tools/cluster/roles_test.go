package main

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/messenger-clone/messenger-clone-api/server/config"
)

// TestRoles reads them from the folders, as after `make down`.
func TestRoles(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		first, second folder
		want          string
	}{
		"nothing yet":                          {gone, gone, "shard-0"},
		"the replica is to be cloned":          {takesWrites(1), gone, "shard-0"},
		"as they were made":                    {takesWrites(1), standby(1), "shard-0"},
		"moved":                                {standby(1), takesWrites(2), "shard-0-replica"},
		"moved back":                           {takesWrites(3), standby(3), "shard-0"},
		"the primary is lost":                  {gone, standby(1), "shard-0"},
		"lost after the roles moved":           {standby(2), gone, "shard-0-replica"},
		"the old primary is to be cloned":      {gone, takesWrites(2), "shard-0-replica"},
		"standby.signal was removed":           {takesWrites(1), takesWrites(1), "shard-0"},
		"the old primary was put back":         {takesWrites(1), takesWrites(2), "shard-0-replica"},
		"the old primary was put back, second": {takesWrites(3), takesWrites(2), "shard-0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &cluster{dir: t.TempDir(), cfg: config.Config{Shards: []config.Shard{{Name: "shard-0", Primary: "p:1", Replica: "r:1"}}}}
			test.first.make(t, c.path("data", "shard-0"))
			test.second.make(t, c.path("data", "shard-0-replica"))
			primary, replica := c.primaries()[0], c.replicas()[0]
			if primary.name != test.want || primary.replica || !replica.replica || replica.name == primary.name {
				t.Errorf("primary %+v, replica %+v; want %s", primary, replica, test.want)
			}
		})
	}
}

// folder is as much of a data folder as tells of a role.
type folder struct {
	there, standby bool
	timeline       byte
	state          byte // of its server, as DBState counts them
}

var gone folder

func takesWrites(timeline byte) folder { return folder{there: true, timeline: timeline} }
func standby(timeline byte) folder     { return folder{there: true, standby: true, timeline: timeline} }

func (f folder) make(t *testing.T, dir string) {
	t.Helper()
	if !f.there {
		return
	}
	control := make([]byte, 100)
	control[16], control[48] = f.state, f.timeline
	binary.NativeEndian.PutUint64(control[32:], 0x7_0000_0028) // its last checkpoint
	files := map[string][]byte{"PG_VERSION": []byte("16\n"), "global/pg_control": control}
	if f.standby {
		files[standbySignal] = nil
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, text, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
}
