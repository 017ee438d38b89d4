package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/terminal"
)

// shardsAnswer is GET /api/v1/shards/stats.
type shardsAnswer struct {
	TotalUsers int64        `json:"total_users"`
	ShardCount int          `json:"shard_count"`
	Shards     []shardUsers `json:"shards"`
	CountedAt  string       `json:"counted_at"`
	MaxAgeMS   int64        `json:"max_age_ms"`
}

type shardUsers struct {
	ShardName string `json:"shard_name"`
	UserCount int64  `json:"user_count"`
}

// shards shows how many users each shard has.
func shards(ctx context.Context, c client, screen *terminal.Screen) error {
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
	if !screen.Person() {
		_, err := screen.Write(a.body)
		return err
	}
	return s.show(screen)
}

// show prints the table; its bars compare the shards with the largest of them.
func (s shardsAnswer) show(screen *terminal.Screen) error {
	const bar = 40 // characters
	largest := int64(1)
	for _, shard := range s.Shards {
		largest = max(largest, shard.UserCount)
	}
	rows := append(slices.Clone(s.Shards), shardUsers{total, s.TotalUsers})
	err := terminal.Table(screen, rows, []terminal.Column[shardUsers]{
		{Name: "SHARD", Value: func(u shardUsers) string { return u.ShardName }},
		{Name: "USERS", Value: func(u shardUsers) string { return terminal.Count(u.UserCount) }, Right: true},
		{Name: "SHARE", Value: func(u shardUsers) string { return share(u.UserCount, s.TotalUsers) }, Right: true},
		{Show: func(u shardUsers) string {
			if u.ShardName == total {
				return ""
			}
			return screen.Good(terminal.Bar(float64(u.UserCount)/float64(largest), bar))
		}},
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(screen, "\n%s\n", screen.Faint(fmt.Sprintf("counted at %s, counted again after %s", s.CountedAt, time.Duration(s.MaxAgeMS)*time.Millisecond)))
	return err
}

const total = "total"

// share is part's percentage of total.
func share(part, total int64) string {
	if total == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(part)/float64(total))
}
