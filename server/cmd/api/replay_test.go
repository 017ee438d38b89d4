package main

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// TestReadWhileReplicaReplaysSwitch holds up the replay of the switch to a partitioned table by a long read on the replica, behind
// which every other read of users there waits. The primary answers them in time.
func TestReadWhileReplicaReplaysSwitch(t *testing.T) {
	cfg := testcluster.Open(t)
	migration := tool(t, "migration")
	settings, err := filepath.Abs("../../migration.yml")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if said, err := migration("-config", settings, "unpartition"); err != nil {
			t.Errorf("%v\n%s", err, said)
		}
	})
	s := start(t)
	ring, err := shard.NewRing(shardNames(cfg))
	if err != nil {
		t.Fatal(err)
	}
	u := createOn(t, s, ring, "shard-0")
	s.awaitServedBy(t, path(u.ID), "shard-0/replica")

	replica := testcluster.Replica(t, cfg, 0)
	testcluster.MustExec(t, replica, "BEGIN; SELECT count(*) FROM users") // it keeps a lock, and no snapshot

	switched := make(chan error, 1)
	go func() {
		said, err := migration("-config", settings, "-shards", "0", "partition")
		if err != nil {
			t.Log(said)
		}
		switched <- err
	}()
	// Until the table is switched, the replica has stopped answering, and, its long read cancelled, answers again.
	ended, byPrimary := false, false
	await(t, func() error {
		start := time.Now()
		by := s.servedBy(t, path(u.ID)) // 200
		if took := time.Since(start); took > cfg.RequestTimeout*4/5 {
			t.Errorf("answered after %s", took)
		}
		byPrimary = byPrimary || by == "shard-0/primary"
		select {
		case err := <-switched:
			if ended = true; err != nil {
				t.Fatal(err)
			}
		default:
		}
		if !ended || !byPrimary || by != "shard-0/replica" {
			return fmt.Errorf("switched: %t, answered by the primary: %t, at last by %s", ended, byPrimary, by)
		}
		return nil
	})
}
