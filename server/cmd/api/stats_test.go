package main

import (
	"testing"

	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// TestStatsAreTheServers asks every worker for the counts: they are counted once
// for all.
func TestStatsAreTheServers(t *testing.T) {
	testcluster.Open(t)
	s := start(t, "STATS_MAX_AGE=1h")
	type stats struct {
		Total     int    `json:"total_users"`
		CountedAt string `json:"counted_at"`
	}
	first := must[stats](t, s, "GET", "/api/v1/shards/stats", "", 200)
	must[user](t, s, "POST", "/api/v1/users/", createBody("Ada", "ada@example.com"), 201)
	processes := map[int]bool{}
	for range 20 * workers { // enough to meet them all: each connection is to any of them
		s.client.CloseIdleConnections()
		if again := must[stats](t, s, "GET", "/api/v1/shards/stats", "", 200); again != first {
			t.Fatalf("got %+v after %+v", again, first)
		}
	}
	for _, line := range s.matching(func(l logLine) bool { return l.Msg == "request" }) {
		processes[line.PID] = true
	}
	if len(processes) < 2 {
		t.Errorf("%d workers were asked", len(processes))
	}
}
