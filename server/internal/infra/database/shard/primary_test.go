package shard

import (
	"errors"
	"strings"
	"testing"
)

func TestChoosePrimary(t *testing.T) {
	t.Parallel()
	down := errors.New("nobody is there")
	for name, test := range map[string]struct {
		found   []server
		want    int
		refusal string // "" is none
	}{
		"as they were made":               {[]server{{epoch: 1}, {standby: true, epoch: 1}}, 0, ""},
		"roles have moved":                {[]server{{standby: true, epoch: 2}, {epoch: 2}}, 1, ""},
		"the replica is away":             {[]server{{epoch: 1}, {err: down}}, 0, ""},
		"the replica is behind":           {[]server{{standby: true, epoch: 1}, {epoch: 2}}, 1, ""},
		"nobody counts yet":               {[]server{{}, {standby: true}}, 0, ""},
		"the old primary takes writes":    {[]server{{epoch: 1}, {epoch: 2}}, 1, ""},
		"the old primary alone does":      {[]server{{epoch: 1}, {standby: true, epoch: 2}}, -1, "promotion to epoch 2"},
		"both were promoted by hand":      {[]server{{addr: "a", epoch: 1}, {addr: "b", epoch: 1}}, -1, "a and b both take writes"},
		"the primary is away":             {[]server{{err: down}, {addr: "b", standby: true}}, -1, "nobody is there\nb is a replica"},
		"nobody is there":                 {[]server{{err: down}, {err: down}}, -1, "nobody is there"},
		"a shard without a replica":       {[]server{{epoch: 3}}, 0, ""},
		"no replica, and it is a standby": {[]server{{addr: "a", standby: true}}, -1, "a is a replica"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := choose(test.found)
			if got != test.want || (err != nil) != (test.refusal != "") || err != nil && !strings.Contains(err.Error(), test.refusal) {
				t.Errorf("got %d, %v; want %d, %q", got, err, test.want, test.refusal)
			}
		})
	}
}

// What one connection has told of a promotion, the next is measured by.
func TestGuardRemembersEpochs(t *testing.T) {
	t.Parallel()
	var g Guard
	for _, step := range []struct {
		shard       int
		epoch, want int64
	}{{0, 1, 1}, {0, 3, 3}, {0, 2, 3}, {1, 1, 1}} {
		if got := g.learn(step.shard, step.epoch); got != step.want {
			t.Errorf("shard %d of epoch %d: the highest is %d, want %d", step.shard, step.epoch, got, step.want)
		}
	}
}
