package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/source/iofs"
)

// up applies what is pending on each shard, whatever each stands at; so a run that failed is finished by the next one.
func (t *tool) up(ctx context.Context) error {
	return t.change(ctx, func([]state) error { return nil }, func(s state) int { return len(t.list) }, (*migrate.Migrate).Up)
}

// change takes the cluster's lock, makes sure that every shard can be changed, and calls step on each shard that is not
// at its goal, all side by side. agree may still refuse, with nothing changed.
func (t *tool) change(ctx context.Context, agree func([]state) error, goal func(state) int, step func(*migrate.Migrate) error) (err error) {
	ctx, unlock, err := t.lockCluster(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()

	primaries, closeAll, err := t.connectAll(ctx)
	defer func() { err = errors.Join(err, closeAll()) }()
	if err != nil {
		return fmt.Errorf("%w\nnothing was changed on any shard", err)
	}
	states, err := t.inspect(ctx, primaries)
	if err == nil {
		err = t.checkIdentities(ctx, primaries)
	}
	if err == nil {
		err = errors.Join(t.changeable(states), agree(states), t.compareBefore(states))
	}
	if err != nil {
		return fmt.Errorf("%w\nnothing was changed on any shard", err)
	}
	if t.dry {
		t.foretell(states, goal)
		return nil
	}

	err = t.onEvery(ctx, func(ctx context.Context, i int) error {
		s := states[i]
		if s.version == goal(s) {
			t.con.out.printf("%s: at %s, nothing to do", s.shard.Name, t.label(s.version))
			return nil
		}
		return t.step(ctx, primaries[i], s.version, goal(s), step)
	})
	if err != nil {
		if errors.Is(context.Cause(ctx), errLost) {
			err = errors.Join(context.Cause(ctx), err)
		}
		return t.whereEachStands(ctx, err)
	}
	return errors.Join(t.writeIdentities(ctx, primaries), t.compareAfter(ctx, primaries))
}

// foretell says what change would do.
func (t *tool) foretell(states []state, goal func(state) int) {
	for _, s := range states {
		var files []string
		for version := s.version; version < goal(s); {
			version = max(version, 0) + 1
			files = append(files, t.list[version-1].UpFile())
		}
		for version := s.version; version > max(goal(s), 0); version-- {
			files = append(files, t.list[version-1].DownFile())
		}
		if files == nil {
			files = []string{"nothing"}
		}
		t.con.out.printf("%s: at %s, would apply %s", s.shard.Name, t.label(s.version), strings.Join(files, ", "))
	}
}

// step changes one shard and reports it.
func (t *tool) step(ctx context.Context, p *primary, from, to int, step func(*migrate.Migrate) error) error {
	source, err := iofs.New(t.files, ".")
	if err != nil {
		return err
	}
	at, start := from, time.Now()
	d := &driver{primary: p, ctx: ctx, at: from, applied: func(version int, took time.Duration) {
		if at = version; at != to {
			t.con.out.printf("%s: now %s, after %s", p.shard.Name, t.label(at), round(took))
		}
	}, say: func(format string, args ...any) {
		t.con.out.printf("%s: %s: %s", p.shard.Name, t.fileAfter(at, from, to), fmt.Sprintf(format, args...))
	}}
	m, err := migrate.NewWithInstance("iofs", source, "postgres", d)
	if err != nil {
		return err
	}
	m.LockTimeout = 2 * t.set.RunLockTimeout // Lock has its own bound; this one would leave it waiting behind

	if err := plain(step(m)); err != nil {
		if at != to {
			err = fmt.Errorf("%s: %w", t.fileAfter(at, from, to), err)
		}
		return err
	}
	t.con.out.printf("%s: %s → %s in %s", p.shard.Name, t.label(from), t.label(at), round(time.Since(start)))
	return nil
}

// fileAfter is the file that was next when the shard stood at version, not yet at the end of its way.
func (t *tool) fileAfter(version, from, to int) string {
	if to < from {
		return t.list[version-1].DownFile()
	}
	return t.list[max(version, 0)].UpFile()
}

// whereEachStands adds to err what it left behind, read afresh.
func (t *tool) whereEachStands(ctx context.Context, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*t.set.ConnectTimeout)
	defer cancel()

	t.con.err.printf("stopped; a file that failed left nothing behind, unless it stands alone (no transaction). Each shard stands at:\n%s", t.table(t.look(ctx)))
	return fmt.Errorf("%w\nput it right and run the same command again: it goes on from there", err)
}

func round(d time.Duration) time.Duration {
	if d > time.Second {
		return d.Round(10 * time.Millisecond)
	}
	return d.Round(100 * time.Microsecond)
}
