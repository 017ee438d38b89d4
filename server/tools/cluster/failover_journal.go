package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// journal is where the failover of a shard that is under way is written down.
func (c *cluster) journal(shard int) string { return c.path("failover-" + fmt.Sprint(shard)) }

func (f *failover) writeJournal() error {
	path := f.journal(f.shard)
	if err := os.WriteFile(path+".partial", fmt.Appendf(nil, "%s %d\n", f.to.name, f.epoch), 0o600); err != nil {
		return err
	}
	if err := os.Rename(path+".partial", path); err != nil {
		return err
	}
	return syncFolder(f.dir)
}

// readJournal takes over what a run before this one began.
func (f *failover) readJournal() error {
	text, err := os.ReadFile(f.journal(f.shard))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var name string
	if _, err := fmt.Fscan(bytes.NewReader(text), &name, &f.epoch); err != nil {
		return fmt.Errorf("%s: %w", f.journal(f.shard), err)
	}
	if f.to.name != name {
		f.from, f.to = f.to, f.from
	}
	return nil
}
