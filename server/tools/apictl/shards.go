package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// shardsAnswer is GET /api/v1/shards/stats.
type shardsAnswer struct {
	TotalUsers int64 `json:"total_users"`
	ShardCount int   `json:"shard_count"`
	Shards     []struct {
		ShardName string `json:"shard_name"`
		UserCount int64  `json:"user_count"`
	} `json:"shards"`
	CountedAt string `json:"counted_at"`
	MaxAgeMS  int64  `json:"max_age_ms"`
}

// shards shows how many users each shard has.
func shards(ctx context.Context, c client, v view) error {
	a, err := c.get(ctx, "/api/v1/shards/stats")
	if err != nil {
		return err
	}
	if a.status != http.StatusOK {
		return c.refused(a)
	}
	var s shardsAnswer
	if err := json.Unmarshal(a.body, &s); err != nil || s.ShardCount == 0 {
		return c.stranger()
	}
	if v.table {
		return v.shards(s)
	}
	return v.raw(a)
}

func (v view) shards(s shardsAnswer) error {
	names, users, shares := column{cells: []string{"SHARD"}}, column{cells: []string{"USERS"}, right: true}, column{cells: []string{"SHARE"}, right: true}
	add := func(name string, count int64) {
		names.cells = append(names.cells, name)
		users.cells = append(users.cells, strconv.FormatInt(count, 10))
		shares.cells = append(shares.cells, share(count, s.TotalUsers))
	}
	for _, shard := range s.Shards {
		add(shard.ShardName, shard.UserCount)
	}
	add("total", s.TotalUsers)
	if err := v.write(names, users, shares); err != nil {
		return err
	}
	return v.printf("\ncounted at %s, counted again after %s\n", s.CountedAt, time.Duration(s.MaxAgeMS)*time.Millisecond)
}

// share is part's percentage of total.
func share(part, total int64) string {
	if total == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(part)/float64(total))
}
