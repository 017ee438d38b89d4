package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/golang-migrate/migrate/v4"
)

// down takes the newest migration back that is applied anywhere, on the shards that have it. A shard behind the others stays
// where it is: one step on every shard would leave them as different as they were, and destroy more.
func (t *tool) down(ctx context.Context) error {
	if !t.con.yes && !t.con.interactive && !t.dry {
		return errors.New("down destroys data and there is no terminal to ask at: give YES=1 to say that it is meant")
	}

	before := t.look(ctx)
	for _, s := range before {
		if s.err != nil {
			return fmt.Errorf("%s: %w\nnothing was changed on any shard", s.shard.Name, s.err)
		}
	}
	last := newest(before)
	if last < 1 {
		t.con.out.printf("no shard has a migration to take back")
		return nil
	}
	if err := t.changeable(before); err != nil {
		return err
	}
	if !t.con.yes && !t.dry && !t.con.confirm(t.question(before, last)) {
		return errors.New("not confirmed; nothing was changed")
	}

	return t.change(ctx,
		func(now []state) error {
			if got := newest(now); got != last {
				return fmt.Errorf("the newest migration is %s by now, not %s: look again with status", t.label(got), t.label(last))
			}
			return nil
		},
		func(s state) int {
			if s.version < last {
				return s.version
			}
			if last == 1 {
				return noVersion
			}
			return last - 1
		},
		func(m *migrate.Migrate) error { return m.Steps(-1) },
	)
}

// newest is the highest version that any shard stands at.
func newest(states []state) int {
	last := noVersion
	for _, s := range states {
		last = max(last, s.version)
	}
	return last
}

// question tells the person what they are about to lose, and where.
func (t *tool) question(states []state, last int) string {
	var where []string
	for _, s := range states {
		if s.version == last {
			where = append(where, s.shard.Name+" ("+s.addr+")")
		}
	}
	return fmt.Sprintf("This takes %s back and destroys the data it holds, on %s.", t.label(last), strings.Join(where, ", "))
}
