package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

func slotName(shard int) string { return fmt.Sprintf("shard_%d_replica", shard) }

// cloneReplica copies a running primary by the low-level backup API (PostgreSQL
// manual 26.3.3), because the fetched build has no pg_basebackup. The copy
// grows in a folder beside the final one, with standby.signal in it from the
// first moment, so an interrupted clone is begun anew and can never come up as a
// read-write server. The slot is made first: it keeps the WAL the copy needs.
func (c *cluster) cloneReplica(ctx context.Context, i instance) error {
	primary := c.primaries()[i.shard]
	dir := c.dataDir(i)
	partial := dir + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := c.account.folder(partial); err != nil {
		return err
	}
	conn, err := c.connect(ctx, primary.addr)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := recreateSlot(ctx, conn, i.shard); err != nil {
		return fmt.Errorf("%s: %w", i.name, err)
	}
	if err := c.writeStandbySettings(partial, primary, i.shard); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, `SELECT pg_backup_start($1, fast => true)`, "clone "+i.name); err != nil {
		return fmt.Errorf("%s: start backup: %w", i.name, err)
	}
	if err := copyData(ctx, c.dataDir(primary), partial); err != nil {
		return fmt.Errorf("%s: copy: %w", i.name, err)
	}
	var label string
	if err := conn.QueryRow(ctx, `SELECT labelfile FROM pg_backup_stop(wait_for_archive => false)`).Scan(&label); err != nil {
		return fmt.Errorf("%s: stop backup: %w", i.name, err)
	}
	if err := os.WriteFile(filepath.Join(partial, "backup_label"), []byte(label), 0o600); err != nil {
		return err
	}
	if err := c.account.own(partial); err != nil {
		return err
	}
	return os.Rename(partial, dir)
}

func recreateSlot(ctx context.Context, conn *pgx.Conn, shard int) error {
	if _, err := conn.Exec(ctx, `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1`, slotName(shard)); err != nil {
		return fmt.Errorf("drop the old slot: %w", err)
	}
	if _, err := conn.Exec(ctx, `SELECT pg_create_physical_replication_slot($1, immediately_reserve => true)`, slotName(shard)); err != nil {
		return fmt.Errorf("create the slot: %w", err)
	}
	return nil
}

// writeStandbySettings makes dir a standby's folder before it holds any data.
func (c *cluster) writeStandbySettings(dir string, primary instance, shard int) error {
	if err := c.writeUpstream(dir, primary, shard); err != nil {
		return err
	}
	return c.account.write(filepath.Join(dir, standbySignal), nil)
}

// leftOut are the parts of a data folder that a backup must not or need not
// hold (manual 26.3.3): of these folders only the folder is made, and the files
// belong to the running primary or are written by writeStandbySettings.
var (
	emptied = []string{"pg_wal", "pg_replslot", "pg_dynshmem", "pg_notify", "pg_serial", "pg_snapshots", "pg_stat_tmp", "pg_subtrans"}
	leftOut = []string{"postmaster.pid", "postmaster.opts", "postgresql.auto.conf", "standby.signal", "recovery.signal", "backup_label", "tablespace_map"}
)

// copyData copies a data folder whose server may be running. A file that goes
// away meanwhile was dropped, and replay would drop it too.
func copyData(ctx context.Context, from, to string) error {
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && path != from:
			return nil
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, name)
		switch {
		case entry.IsDir():
			if err := os.MkdirAll(target, 0o700); err != nil {
				return err
			}
			if slices.Contains(emptied, name) || strings.HasPrefix(entry.Name(), "pgsql_tmp") {
				return fs.SkipDir
			}
			return nil
		case slices.Contains(leftOut, name), strings.HasPrefix(entry.Name(), "pgsql_tmp"), !entry.Type().IsRegular():
			return nil
		}
		if err := copyFile(path, target); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	return os.MkdirAll(filepath.Join(to, "pg_wal", "archive_status"), 0o700)
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return errors.Join(err, out.Close())
	}
	return errors.Join(out.Sync(), out.Close())
}
