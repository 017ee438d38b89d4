package basebackup

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/primaries"
	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/progress"
)

const replicationRole = "messenger_replication"

// Source is what a backup is made of.
type Source struct {
	config    config.Config
	password  config.Secret // the replication role's
	passwords []string      // see Manifest.Passwords
}

// SourceOf is the shards of the settings.
func SourceOf(cfg config.Config) Source {
	s := Source{config: cfg}
	for _, entry := range cfg.Environ() {
		switch name, value, _ := strings.Cut(entry, "="); name {
		case "DB_REPLICATION_PASSWORD":
			s.password = config.Secret(value)
			s.passwords = append(s.passwords, entry)
		case "DB_PASSWORD", "DB_OWNER_PASSWORD":
			s.passwords = append(s.passwords, entry)
		}
	}
	slices.Sort(s.passwords)
	return s
}

// Create makes a backup of all shards in dir, which must not exist, while they serve.
func Create(ctx context.Context, src Source, dir string, display *progress.Display) (m *Manifest, err error) {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is there already: name another folder with TO=…", dir)
	}
	set, err := primaries.Connect(ctx, src.config)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, set.Close()) }()

	partial := dir + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(partial, 0o700); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(partial))
		}
	}()
	if err := checkRoom(ctx, set, partial); err != nil {
		return nil, err
	}
	if m, err = describe(ctx, src, set); err != nil {
		return nil, err
	}
	if err := m.copyAll(ctx, src, set, partial, display); err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(partial, manifestName), append(text, '\n'), 0o600); err != nil {
		return nil, err
	}
	return m, os.Rename(partial, dir)
}

// checkRoom refuses where there is not half the room that the databases take; packed they take about a third.
func checkRoom(ctx context.Context, set *primaries.Set, dir string) error {
	var sum int64
	for _, conn := range set.Conns {
		var size int64
		if err := conn.QueryRow(ctx, "SELECT pg_database_size(current_database())").Scan(&size); err != nil {
			return err
		}
		sum += size
	}
	free, err := Free(dir)
	if err == nil && free < sum/2 {
		err = fmt.Errorf("%s has %s free, and a backup of %s needs about half of that: make room, or name another disk with TO=…",
			filepath.Dir(dir), progress.Size(free), progress.Size(sum))
	}
	return err
}

// describe is a manifest without the copies.
func describe(ctx context.Context, src Source, set *primaries.Set) (*Manifest, error) {
	m := &Manifest{Format: format, Cluster: set.Cluster, Began: time.Now().UTC()}
	var err error
	if m.Passwords, err = fingerprint(m.Cluster, src.passwords); err != nil {
		return nil, err
	}
	names := make([]string, 0, len(src.config.Shards))
	for _, s := range src.config.Shards {
		names = append(names, s.Name)
	}
	identities, err := shard.Identities(names) // which the shards are: Connect has asked them
	if err != nil {
		return nil, err
	}
	for i, conn := range set.Conns {
		s := Shard{Identity: identities[i], Database: src.config.Shards[i].Database}
		if err := conn.QueryRow(ctx, `SELECT setting::bigint, current_setting('server_version') FROM pg_settings WHERE name = 'wal_segment_size'`).Scan(&s.SegmentSize, &m.Postgres); err != nil {
			return nil, err
		}
		m.Shards = append(m.Shards, s)
	}
	return m, nil
}

// copyAll copies the data folders side by side, then cuts, and ends each shard's log there.
func (m *Manifest) copyAll(ctx context.Context, src Source, set *primaries.Set, dir string, display *progress.Display) error {
	g, ctx := errgroup.WithContext(ctx)
	ends := make([]atomic.Uint64, len(m.Shards)) // 0 until the cut
	copied := make(chan struct{}, len(m.Shards))
	for i := range m.Shards {
		g.Go(func() error {
			err := m.Shards[i].copyData(ctx, src, set.Addr(i), dir, display, func() { copied <- struct{}{} }, func() (LSN, bool) {
				end := LSN(ends[i].Load())
				return end, end != 0
			})
			if err != nil {
				return fmt.Errorf("%s: %w", m.Shards[i].Name, err)
			}
			return nil
		})
	}
	g.Go(func() error {
		for range m.Shards {
			select {
			case <-copied:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		at, blocked, err := cut(ctx, set)
		if err != nil {
			return fmt.Errorf("cut: %w", err)
		}
		m.Cut, m.BlockedMS = time.Now().UTC(), blocked.Milliseconds()
		for i := range at {
			m.Shards[i].Cut = at[i]
			ends[i].Store(uint64(at[i]))
		}
		return nil
	})
	return g.Wait()
}

// copyData copies one shard: its data folder over one connection, and over another its log, from the beginning of the copy to the end that is
// known later. The slot keeps the log meanwhile and goes with the connection.
func (s *Shard) copyData(ctx context.Context, src Source, primary, dir string, display *progress.Display, copied func(), end func() (LSN, bool)) error {
	url := src.config.DatabaseURL(primary, replicationRole, src.password).String()
	conn, err := replication(ctx, url, src.config.DBConnectTimeout)
	if err != nil {
		return fmt.Errorf("connect to copy: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	logConn, err := replication(ctx, url, src.config.DBConnectTimeout)
	if err != nil {
		return fmt.Errorf("connect to stream: %w", err)
	}
	defer func() { _ = logConn.Close(context.WithoutCancel(ctx)) }()

	system, err := ask(ctx, conn, "IDENTIFY_SYSTEM")
	if err != nil {
		return err
	}
	s.System = system[0]
	if timeline := system[1]; timeline != "1" { // the first has none
		history, err := ask(ctx, conn, "TIMELINE_HISTORY "+timeline)
		if err != nil {
			return err
		}
		s.History = history[1]
	}
	slot := "backup_" + strings.ToLower(rand.Text()[:12])
	if _, err := ask(ctx, logConn, "CREATE_REPLICATION_SLOT "+slot+" TEMPORARY PHYSICAL RESERVE_WAL"); err != nil {
		return err
	}

	var packers [3]*packer
	for i, name := range []string{s.dataFile(), s.manifestFile(), s.walFile()} {
		if packers[i], err = newPacker(dir, name, i != 1); err != nil {
			return err
		}
		defer packers[i].abandon()
	}
	data, list, wal := packers[0], packers[1], packers[2]

	g, ctx := errgroup.WithContext(ctx)
	var bar *progress.Bar
	base := baseCopy{data: data, manifest: list, copied: func(n int) { bar.Add(int64(n)) }, started: func(start LSN, timeline int, bytes int64) error {
		s.Start, s.Timeline = start, timeline
		bar = display.Bar(s.Name, progress.Bytes, bytes, 0)
		g.Go(func() error {
			if err := streamWAL(ctx, logConn, slot, start.segment(s.SegmentSize), timeline, wal, end); err != nil {
				return fmt.Errorf("stream its log: %w", err)
			}
			return nil
		})
		return nil
	}}
	g.Go(func() (err error) {
		if s.Stop, err = base.receive(ctx, conn, "messenger "+time.Now().UTC().Format(time.RFC3339)); err != nil {
			return fmt.Errorf("copy its data: %w", err)
		}
		bar.Finish(data.wrote)
		copied()
		return nil
	})
	if err := g.Wait(); err != nil {
		return err
	}
	if s.Cut < s.Stop {
		return fmt.Errorf("its log was cut at %s, before the copy is consistent at %s", s.Cut, s.Stop)
	}
	s.DataBytes, s.WALBytes = data.wrote, wal.wrote
	for _, p := range packers {
		file, err := p.finish()
		if err != nil {
			return err
		}
		s.Files = append(s.Files, file)
	}
	return nil
}
