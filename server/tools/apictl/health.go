package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
)

// healthAnswer is GET /health.
type healthAnswer struct {
	Status    string `json:"status"`
	CheckedAt string `json:"checked_at"`
	Shards    []struct {
		ShardName string  `json:"shard_name"`
		Status    string  `json:"status"`
		Primary   server  `json:"primary"`
		Replica   *server `json:"replica"`
		Slot      *struct {
			WALStatus string `json:"wal_status"`
		} `json:"slot"`
	} `json:"shards"`
}

type server struct {
	Status   string `json:"status"`
	Error    string `json:"error"`
	LagBytes *int64 `json:"lag_bytes"`
}

// health shows the state of each shard. It fails when none serves.
func health(ctx context.Context, c client, v view) error {
	a, err := c.get(ctx, "/health")
	if err != nil {
		return err
	}
	var h healthAnswer
	if err := json.Unmarshal(a.body, &h); err != nil {
		return c.refused(a) // a problem's status is a number
	}

	var verdict error
	switch {
	case a.status == http.StatusOK && (h.Status == "ok" || h.Status == "degraded"):
	case a.status == http.StatusServiceUnavailable && h.Status == "unavailable":
		verdict = errors.New("no shard serves: start the databases with `make dev`, and see `make ps` and `make logs-all`")
	default:
		return c.refused(a)
	}
	if v.table {
		err = v.health(h)
	} else {
		err = v.raw(a)
	}
	return errors.Join(verdict, err)
}

func (v view) health(h healthAnswer) error {
	columns := []column{
		{cells: []string{"SHARD"}},
		{cells: []string{"STATUS"}},
		{cells: []string{"PRIMARY"}},
		{cells: []string{"REPLICA"}},
		{cells: []string{"LAG BYTES"}, right: true},
		{cells: []string{"SLOT"}},
	}
	for _, s := range h.Shards {
		replica, lag, slot := "none", "", ""
		if s.Replica != nil {
			replica = s.Replica.words()
			if s.Replica.LagBytes != nil {
				lag = strconv.FormatInt(*s.Replica.LagBytes, 10)
			}
		}
		if s.Slot != nil {
			slot = s.Slot.WALStatus
		}
		for i, cell := range []string{s.ShardName, s.Status, s.Primary.words(), replica, lag, slot} {
			columns[i].cells = append(columns[i].cells, cell)
		}
	}
	if err := v.write(columns...); err != nil {
		return err
	}
	return v.printf("\n%s, checked at %s\n", h.Status, h.CheckedAt)
}

// words is a server's status, and what is wrong with it.
func (s server) words() string {
	if s.Error == "" {
		return s.Status
	}
	return s.Status + ": " + s.Error
}
