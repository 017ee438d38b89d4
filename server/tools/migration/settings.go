package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"go.yaml.in/yaml/v3"
)

// settings is migration.yml, which has a comment on each key. The file holds every key: there are no defaults here that
// could differ from what it says.
type settings struct {
	Directory        string        `yaml:"directory"`
	Schema           string        `yaml:"schema"`
	Table            string        `yaml:"table"`
	ConnectTimeout   time.Duration `yaml:"connect_timeout"`
	LockTimeout      time.Duration `yaml:"lock_timeout"`
	LockPatience     time.Duration `yaml:"lock_patience"`
	StatementTimeout time.Duration `yaml:"statement_timeout"`
	RunLockTimeout   time.Duration `yaml:"run_lock_timeout"`
}

// loadSettings reads the file; a relative directory in it is beside the file.
func loadSettings(path string) (settings, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return settings{}, fmt.Errorf("%w (run from server/, or give -config FILE)", err)
	}
	set, err := parseSettings(text)
	if err != nil {
		return settings{}, fmt.Errorf("%s: %w", path, err)
	}
	if !filepath.IsAbs(set.Directory) {
		set.Directory = filepath.Join(filepath.Dir(path), set.Directory)
	}
	return set, nil
}

func parseSettings(text []byte) (settings, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true) // a misspelt timeout would not be one
	var set settings
	if err := decoder.Decode(&set); err != nil && !errors.Is(err, io.EOF) {
		return settings{}, err
	}

	var problems []error
	for _, s := range []struct{ key, value string }{
		{"directory", set.Directory}, {"schema", set.Schema}, {"table", set.Table},
	} {
		if s.value == "" {
			problems = append(problems, fmt.Errorf("%s is missing", s.key))
		}
	}
	for _, d := range []struct {
		key   string
		value time.Duration
	}{
		{"connect_timeout", set.ConnectTimeout},
		{"lock_timeout", set.LockTimeout},
		{"lock_patience", set.LockPatience},
		{"statement_timeout", set.StatementTimeout},
		{"run_lock_timeout", set.RunLockTimeout},
	} {
		// PostgreSQL counts in milliseconds, and 0 would mean to wait for ever.
		if d.value < time.Millisecond {
			problems = append(problems, fmt.Errorf("%s is missing or less than 1ms: want a duration such as 3s", d.key))
		}
	}
	return set, errors.Join(problems...)
}
