package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/messenger-clone/messenger-clone-api/server/config"
)

// state is what a shard stands at.
type state struct {
	shard   config.Shard
	addr    string // of its primary
	version int
	dirty   bool
	layout  layout

	schema   schema // as it is
	recorded schema // as it was when the shard came to its version; nil if that is not known
	underWay bool   // a file that stands alone was begun and not recorded yet

	err error // why the rest is not known
}

// connectAll connects to every primary. closeAll closes those that were reached, also after an error.
func (t *tool) connectAll(ctx context.Context) (primaries []*primary, closeAll func() error, err error) {
	primaries = make([]*primary, len(t.shards))
	err = t.onEvery(ctx, func(ctx context.Context, i int) (err error) {
		primaries[i], err = t.connect(ctx, t.shards[i])
		return err
	})
	return primaries, func() error {
		var errs []error
		for _, p := range primaries {
			if p != nil {
				errs = append(errs, p.close(ctx))
			}
		}
		return errors.Join(errs...)
	}, err
}

// inspect reads what each shard stands at.
func (t *tool) inspect(ctx context.Context, primaries []*primary) ([]state, error) {
	states := make([]state, len(primaries))
	err := t.onEvery(ctx, func(ctx context.Context, i int) (err error) {
		states[i], err = primaries[i].state(ctx)
		return err
	})
	return states, err
}

// state reads what the shard stands at.
func (p *primary) state(ctx context.Context) (s state, err error) {
	s.shard, s.addr = p.shard, p.addr()
	if s.version, s.dirty, err = p.version(ctx); err != nil {
		return s, err
	}
	if s.recorded, s.underWay, err = p.readLog(ctx, s.version); err != nil {
		return s, err
	}
	if s.layout, err = p.layout(ctx); err != nil {
		return s, err
	}
	ctx, cancel := context.WithTimeout(ctx, p.set.ConnectTimeout)
	defer cancel()
	s.schema, err = p.describe(ctx, p.conn)
	return s, err
}

// changeable refuses shards on which these files have nothing to build.
func (t *tool) changeable(states []state) error {
	var errs []error
	for _, s := range states {
		switch {
		case s.dirty:
			errs = append(errs, fmt.Errorf("%s: %s is dirty: another tool stopped in the middle of it; finish it or undo it by hand, then set dirty to false (and version to what is true) in %s.%s",
				s.shard.Name, t.label(s.version), t.set.Schema, t.set.Table))
		case s.version > len(t.list):
			errs = append(errs, fmt.Errorf("%s: stands at version %d, and the newest of these files is %s: newer code migrated it; use that code's files",
				s.shard.Name, s.version, t.list[len(t.list)-1]))
		case s.layout.underWay:
			errs = append(errs, fmt.Errorf("%s: users is being rebuilt, and a migration would change the old table only: finish that or give it up (scripts/partition-shards.sh --help)", s.shard.Name))
		}
	}
	return errors.Join(errs...)
}

// look finds out what each shard stands at with connections of its own, and keeps what went wrong in the states.
func (t *tool) look(ctx context.Context) []state {
	states := make([]state, len(t.shards))
	_ = t.onEvery(ctx, func(ctx context.Context, i int) error {
		states[i] = t.lookAt(ctx, t.shards[i])
		return nil
	})
	return states
}

func (t *tool) lookAt(ctx context.Context, shard config.Shard) state {
	p, err := t.connect(ctx, shard)
	if err != nil {
		return state{shard: shard, err: err}
	}
	s, err := p.state(ctx)
	s.err = errors.Join(err, p.close(ctx))
	return s
}

// table shows states to people and to scripts.
func (t *tool) table(states []state) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SHARD\tVERSION\tDIRTY\tPENDING\tSCHEMA\tUSERS")
	for _, s := range states {
		if s.err != nil {
			fmt.Fprintf(w, "%s\tunknown\t?\t?\t?\t?\n", s.shard.Name)
			continue
		}
		dirty := "no"
		if s.dirty {
			dirty = "yes"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\n", s.shard.Name, t.label(s.version), dirty, t.pending(s), s.schema.hash(), s.layout)
	}
	_ = w.Flush() // into memory
	return strings.TrimSuffix(b.String(), "\n")
}

func (t *tool) pending(s state) int { return max(0, len(t.list)-max(s.version, 0)) }
