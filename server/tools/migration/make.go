package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"github.com/messenger-clone/messenger-clone-api/server/migrations"
)

var goodName = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

const longestName = 60

// makePair writes the next pair of files, or neither.
func makePair(dir, name string, out *lines) error {
	if !goodName.MatchString(name) || len(name) > longestName {
		return fmt.Errorf("%q is not a name for a migration: want at most %d small letters, digits and single underscores, such as add_messages_table",
			name, longestName)
	}
	list, err := migrations.List(os.DirFS(dir))
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	for _, m := range list {
		if m.Name == name {
			return fmt.Errorf("%s has that name already: choose another one", m)
		}
	}

	next := migrations.Migration{Version: uint(len(list) + 1), Name: name}
	up, down := filepath.Join(dir, next.UpFile()), filepath.Join(dir, next.DownFile())
	if err := create(up, "-- What this changes, and why. The file is one transaction.\n"); err != nil {
		return err
	}
	if err := create(down, "-- Takes "+next.UpFile()+" back. Say what it destroys.\n"); err != nil {
		return errors.Join(err, os.Remove(up))
	}
	out.printf("%s\n%s", up, down)
	return nil
}

// create makes a file that must not be there yet.
func create(path, text string) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = f.WriteString(text)
	return err
}
