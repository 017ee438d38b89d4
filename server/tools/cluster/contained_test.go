package main

import (
	"bufio"
	"io"
	"path/filepath"
	"slices"
	"testing"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/host"
)

// TestContained follows a failover's steps through the folders and through what is asked of the host.
func TestContained(t *testing.T) {
	t.Parallel()
	c := &cluster{dir: t.TempDir(), folder: containedFolder, cfg: config.Config{Shards: []config.Shard{{Name: "shard-0", Primary: "p:1", Replica: "r:1"}}}}
	asked, deeds := io.Pipe()
	answers, answered := io.Pipe()
	c.keeper = contained{c, host.New(deeds, answers)}
	var list []string
	go func() {
		for lines := bufio.NewScanner(asked); lines.Scan(); {
			list = append(list, lines.Text())
			_, _ = io.WriteString(answered, "ok\n")
		}
	}()
	first, second := c.primaries()[0], c.replicas()[0]
	takesWrites(1).make(t, c.dataDir(first))
	standby(1).make(t, c.dataDir(second))

	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(c.keeper.fence(first))
	if !c.isStandby(first) || !fileExists(filepath.Join(c.dataDir(first), fencedMark)) {
		t.Error("a fenced primary is to be a standby that follows nobody")
	}
	must(c.keeper.unfence(first))
	if c.isStandby(first) || fileExists(filepath.Join(c.dataDir(first), fencedMark)) {
		t.Error("the fence is still there")
	}
	must(c.keeper.fence(first))
	must(removeFrom(c.dataDir(second), standbySignal)) // as a promotion does
	must(c.keeper.lead(t.Context(), 0))
	must(c.keeper.follow(t.Context(), first, second))
	if !c.isStandby(first) || fileExists(filepath.Join(c.dataDir(first), fencedMark)) {
		t.Error("one that follows is a standby without a mark")
	}
	must(c.keeper.cycle(t.Context(), first, 0))
	want := []string{"host: lead pgbouncer-0 shard-0-replica", "host: restart 10 shard-0", "host: end shard-0", "host: start shard-0"}
	if !slices.Equal(list, want) {
		t.Errorf("asked for %q, want %q", list, want)
	}
}

func TestShutdownCheckpoint(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, clean := shutdownCheckpoint(dir); clean {
		t.Error("an empty folder was taken for one that was shut down")
	}
	takesWrites(1).make(t, dir)
	if _, clean := shutdownCheckpoint(dir); clean {
		t.Error("a server that starts was taken for one that was shut down")
	}
	folder{there: true, timeline: 1, state: 1}.make(t, dir)
	if at, clean := shutdownCheckpoint(dir); !clean || at != "7/28" {
		t.Errorf("got %q, %v, want the position 7/28", at, clean)
	}
}
