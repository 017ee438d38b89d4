// Package migrations holds the SQL files that make a shard's schema. The migration tool, the server and the tests all
// run these same files.
package migrations

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
)

// Required is the oldest schema that this server can serve on: the version whose create_user it calls. A newer one is fine, since a
// migration leaves alone what the server before it uses (docs/MIGRATIONS.md). Code that needs what a later file makes raises it.
const Required = 5

//go:embed *.sql
var files embed.FS

// FS is the migration files as they were when the program was built.
func FS() fs.FS { return files }

// Migration is one numbered step of the schema: a file that takes it and a file that takes it back.
type Migration struct {
	Version uint   // from 1, without gaps
	Name    string // such as create_users
}

// String is the common beginning of the step's two file names, such as 000001_create_users.
func (m Migration) String() string { return fmt.Sprintf("%06d_%s", m.Version, m.Name) }

// UpFile is the name of the file that takes the step.
func (m Migration) UpFile() string { return m.String() + ".up.sql" }

// DownFile is the name of the file that takes the step back.
func (m Migration) DownFile() string { return m.String() + ".down.sql" }

var fileName = regexp.MustCompile(`^(\d{6})_([a-z][a-z0-9_]*)\.(up|down)\.sql$`)

// List returns the migrations in dir, oldest first, or everything that is wrong with the files there: golang-migrate
// itself passes over a file whose name it does not understand and over a missing half of a pair.
func List(dir fs.FS) ([]Migration, error) {
	names, err := fs.Glob(dir, "*.sql")
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}

	halves := map[Migration]int{}
	var problems []error
	for _, name := range names {
		part := fileName.FindStringSubmatch(name)
		if part == nil {
			problems = append(problems, fmt.Errorf("%s: want a name such as 000002_add_messages_table.up.sql", name))
			continue
		}
		version, err := strconv.ParseUint(part[1], 10, 32)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", name, err))
			continue
		}
		halves[Migration{Version: uint(version), Name: part[2]}]++
	}

	var list []Migration
	for m, n := range halves {
		if n != 2 {
			problems = append(problems, fmt.Errorf("%s: want both %s and %s", m, m.UpFile(), m.DownFile()))
		}
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b Migration) int { return int(a.Version) - int(b.Version) })
	for i, m := range list {
		if want := uint(i + 1); m.Version != want {
			problems = append(problems, fmt.Errorf("%s: want number %06d here: numbers run from 1 without gaps, each used once", m, want))
			break // every later number is off by the same
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return list, nil
}
