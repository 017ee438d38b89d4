package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/terminal"
)

// healthAnswer is GET /health.
type healthAnswer struct {
	Status    string        `json:"status"`
	CheckedAt string        `json:"checked_at"`
	Shards    []shardHealth `json:"shards"`
}

type shardHealth struct {
	ShardName string  `json:"shard_name"`
	Status    string  `json:"status"`
	Primary   server  `json:"primary"`
	Replica   *server `json:"replica"`
	Slot      *struct {
		WALStatus string `json:"wal_status"`
	} `json:"slot"`
}

type server struct {
	Status   string `json:"status"`
	Error    string `json:"error"`
	LagBytes *int64 `json:"lag_bytes"`
}

// health shows the state of each shard. It fails when none serves.
func health(ctx context.Context, c client, screen *terminal.Screen) error {
	a, err := c.get(ctx, "/health")
	if err != nil {
		return err
	}
	var h healthAnswer
	if err := json.Unmarshal(a.body, &h); err != nil {
		return c.refused(a) // a problem's status is a number
	}

	var failed error
	switch {
	case a.status == http.StatusOK && (h.Status == "ok" || h.Status == "degraded"):
	case a.status == http.StatusServiceUnavailable && h.Status == "unavailable":
		failed = errors.New("no shard serves: start the databases with `make dev`, and see `make ps` and `make logs-all`")
	default:
		return c.refused(a)
	}
	if screen.Person() {
		err = h.show(screen)
	} else {
		_, err = screen.Write(a.body)
	}
	return errors.Join(failed, err)
}

func (h healthAnswer) show(screen *terminal.Screen) error {
	err := terminal.Table(screen, h.Shards, []terminal.Column[shardHealth]{
		{Name: "SHARD", Value: func(s shardHealth) string { return s.ShardName }},
		{Name: "STATUS", Value: func(s shardHealth) string { return verdict(screen, s.Status, s.Status) }},
		{Name: "PRIMARY", Value: func(s shardHealth) string { return verdict(screen, s.Primary.Status, s.Primary.words()) }},
		{Name: "REPLICA", Value: func(s shardHealth) string {
			if s.Replica == nil {
				return "none"
			}
			return verdict(screen, s.Replica.Status, s.Replica.words())
		}},
		{Name: "LAG BYTES", Right: true, Value: func(s shardHealth) string {
			if s.Replica == nil || s.Replica.LagBytes == nil {
				return ""
			}
			return strconv.FormatInt(*s.Replica.LagBytes, 10)
		}},
		{Name: "SLOT", Spare: 1, Value: func(s shardHealth) string {
			if s.Slot == nil {
				return ""
			}
			return s.Slot.WALStatus
		}},
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(screen, "\n%s, checked at %s\n", verdict(screen, h.Status, h.Status), h.CheckedAt)
	return err
}

// verdict colours words by the status that they tell of.
func verdict(screen *terminal.Screen, status, words string) string {
	switch status {
	case "ok":
		return screen.Good(words)
	case "degraded":
		return screen.Warning(words)
	}
	return screen.Bad(words)
}

// words is a server's status, and what is wrong with it.
func (s server) words() string {
	if s.Error == "" {
		return s.Status
	}
	return s.Status + ": " + s.Error
}
