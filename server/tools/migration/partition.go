package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// mostPartitions is far more than are of use.
const mostPartitions = 1024

// partition gives users so many partitions on every shard, unpartition none; both while the server serves.
func (t *tool) partition(ctx context.Context) error {
	if t.partitions < 2 || t.partitions > mostPartitions {
		return usageError(fmt.Sprintf("%d is no number of partitions: want 2 to %d", t.partitions, mostPartitions))
	}
	return t.rebuild(ctx, t.partitions)
}

func (t *tool) unpartition(ctx context.Context) error { return t.rebuild(ctx, 0) }

// rebuild brings users on every shard to a layout, side by side.
func (t *tool) rebuild(ctx context.Context, partitions int) (err error) {
	ctx, unlock, err := t.lockCluster(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	primaries, closeAll, err := t.connectAll(ctx)
	defer func() { err = errors.Join(err, closeAll()) }()
	if err == nil {
		err = t.checkIdentities(ctx, primaries)
	}
	if err != nil {
		return fmt.Errorf("%w\nnothing was changed on any shard", err)
	}

	err = t.onEvery(ctx, func(ctx context.Context, i int) error {
		p := primaries[i]
		if t.dry {
			return t.foretellRebuild(ctx, p, partitions)
		}
		r := &rebuild{primary: p, partitions: partitions, pause: func(d time.Duration) time.Duration { return d }, say: func(format string, args ...any) {
			t.con.out.printf("%s: %s", p.shard.Name, fmt.Sprintf(format, args...))
		}}
		return p.withShardLock(ctx, func() error { return r.run(ctx) })
	})
	if err != nil {
		t.con.err.printf("stopped; users are served as before. Each shard has:\n%s", t.layouts(context.WithoutCancel(ctx)))
		return fmt.Errorf("%w\nput it right and run the same command again: it goes on from there; `migration status` shows it too", err)
	}
	if t.dry {
		return nil
	}
	return t.compareAfter(ctx, primaries)
}

func (t *tool) foretellRebuild(ctx context.Context, p *primary, partitions int) error {
	now, err := p.layout(ctx)
	if err != nil {
		return err
	}
	if !now.underWay && now.partitions == partitions {
		t.con.out.printf("%s: %s, would do nothing", p.shard.Name, now)
		return nil
	}
	var users int64
	if err := p.conn.QueryRow(ctx, "SELECT count(*) FROM "+usersTable).Scan(&users); err != nil {
		return explain(err, "")
	}
	t.con.out.printf("%s: %s, would become %s: %d users to copy", p.shard.Name, now, describePartitions(partitions), users)
	return nil
}

// layouts shows what users is on each shard.
func (t *tool) layouts(ctx context.Context) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, s := range t.look(ctx) {
		if s.err != nil {
			fmt.Fprintf(w, "%s\tunknown\n", s.shard.Name)
			continue
		}
		fmt.Fprintf(w, "%s\t%s\n", s.shard.Name, s.layout)
	}
	_ = w.Flush() // into memory
	return strings.TrimSuffix(b.String(), "\n")
}
