package entities

import "testing"

func TestShardStatus(t *testing.T) {
	t.Parallel()
	up, down := ServerHealth{Status: StatusOK}, ServerHealth{Status: StatusUnavailable}
	good := &SlotHealth{WALStatus: "reserved", Active: true}
	for _, test := range []struct {
		name   string
		health ShardHealth
		want   Status
	}{
		{"all well", ShardHealth{Primary: up, Replica: &up, Slot: good}, StatusOK},
		{"extended slot", ShardHealth{Primary: up, Replica: &up, Slot: &SlotHealth{"extended", true}}, StatusOK},
		{"slot about to be lost", ShardHealth{Primary: up, Replica: &up, Slot: &SlotHealth{"unreserved", true}}, StatusDegraded},
		{"lost slot", ShardHealth{Primary: up, Replica: &up, Slot: &SlotHealth{"lost", false}}, StatusDegraded},
		{"missing slot", ShardHealth{Primary: up, Replica: &up, Slot: &SlotHealth{"missing", false}}, StatusDegraded},
		{"replica does not stream", ShardHealth{Primary: up, Replica: &up, Slot: &SlotHealth{"reserved", false}}, StatusDegraded},
		{"replica down", ShardHealth{Primary: up, Replica: &down, Slot: good}, StatusDegraded},
		{"primary down", ShardHealth{Primary: down, Replica: &up}, StatusDegraded},
		{"both down", ShardHealth{Primary: down, Replica: &down}, StatusUnavailable},
		{"no replica", ShardHealth{Primary: up}, StatusOK},
		{"no replica, primary down", ShardHealth{Primary: down}, StatusUnavailable},
	} {
		if got := test.health.Status(); got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
}

func TestHealthStatus(t *testing.T) {
	t.Parallel()
	up := ShardHealth{Primary: ServerHealth{Status: StatusOK}}
	down := ShardHealth{Primary: ServerHealth{Status: StatusUnavailable}}
	for _, test := range []struct {
		shards []ShardHealth
		want   Status
	}{
		{[]ShardHealth{up, up}, StatusOK},
		{[]ShardHealth{up, down}, StatusDegraded},
		{[]ShardHealth{down, down}, StatusUnavailable},
		{nil, StatusUnavailable},
	} {
		if got := (Health{Shards: test.shards}).Status(); got != test.want {
			t.Errorf("%v: got %s, want %s", test.shards, got, test.want)
		}
	}
}
