// Package basebackup makes and reads backups of all shards. It speaks PostgreSQL's replication protocol, as pg_basebackup
// does, so it needs nothing but a connection to each primary.
//
// A backup is a folder: for each shard its data folder (shard-0.tar.zst), PostgreSQL's own list of the files in it with
// their SHA-256 (shard-0.backup_manifest), and the write-ahead log from the copy's beginning to the cut (shard-0.wal.zst);
// and manifest.json, which tells what belongs together.
//
// The cut is one moment for all shards (see cut), so what is restored is what a loss of power everywhere at that moment
// would have left. The rules for claims are made to bear that.
package basebackup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/progress"
)

const (
	manifestName = "manifest.json"
	format       = 1
)

// Manifest says what a backup is of.
type Manifest struct {
	Format    int       `json:"format"`
	Cluster   string    `json:"cluster_id"`
	Began     time.Time `json:"began_at"`      // who was acknowledged before is in it
	Cut       time.Time `json:"consistent_at"` // the moment it shows
	BlockedMS int64     `json:"writes_blocked_ms"`
	Postgres  string    `json:"postgres_version"`
	Passwords string    `json:"passwords"` // tells whether .env.secrets is the one the data was made with
	Shards    []Shard   `json:"shards"`
}

// Shard is one shard's part.
type Shard struct {
	shard.Identity
	Database    string `json:"database"`
	System      string `json:"system_identifier"`
	Timeline    int    `json:"timeline"`
	History     string `json:"timeline_history,omitempty"` // how it came to be: replicas ask for that, once there was a promotion
	Start       LSN    `json:"start_lsn"`
	Stop        LSN    `json:"stop_lsn"` // of the copy; from here on it is consistent
	Cut         LSN    `json:"cut_lsn"`
	SegmentSize int64  `json:"wal_segment_size"`
	DataBytes   int64  `json:"data_bytes"` // unpacked
	WALBytes    int64  `json:"wal_bytes"`
	Files       []File `json:"files"`
}

// File is one file of a backup.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

func (s *Shard) dataFile() string     { return s.Name + ".tar.zst" }
func (s *Shard) manifestFile() string { return s.Name + ".backup_manifest" }
func (s *Shard) walFile() string      { return s.Name + ".wal.zst" }

// Unpacked is how much room the shards need.
func (m *Manifest) Unpacked() (sum int64) {
	for _, s := range m.Shards {
		sum += s.DataBytes + s.WALBytes + s.SegmentSize
	}
	return sum
}

// Packed is how much room the backup takes.
func (m *Manifest) Packed() (sum int64) {
	for _, s := range m.Shards {
		for _, f := range s.Files {
			sum += f.Size
		}
	}
	return sum
}

// Read reads the manifest of the backup in dir.
func Read(dir string) (*Manifest, error) {
	text, err := os.ReadFile(filepath.Join(dir, manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is no backup: it has no %s (one that was interrupted is called ….partial)", dir, manifestName)
	}
	if err != nil {
		return nil, err
	}
	m := new(Manifest)
	decoder := json.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(m); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, manifestName), err)
	}
	if m.Format != format {
		return nil, fmt.Errorf("%s has format %d, this program reads %d: use the version that made it", dir, m.Format, format)
	}
	for _, s := range m.Shards {
		for _, f := range s.Files {
			if !filepath.IsLocal(f.Name) || strings.ContainsRune(f.Name, filepath.Separator) {
				return nil, fmt.Errorf("%s names a file outside: %q", dir, f.Name)
			}
		}
	}
	return m, nil
}

// Match returns nil if the settings are for the shards that the backup is of.
func (m *Manifest) Match(cfg config.Config) error {
	if len(m.Shards) != len(cfg.Shards) {
		return fmt.Errorf("the backup is of %d shards, the settings say %d: set SHARDING_COUNT (or SHARDING_ENABLED) to what it was", len(m.Shards), len(cfg.Shards))
	}
	names := make([]string, 0, len(cfg.Shards))
	for _, s := range cfg.Shards {
		names = append(names, s.Name)
	}
	want, err := shard.Identities(names)
	if err != nil {
		return err
	}
	for i, s := range m.Shards {
		if err := want[i].Match(s.Identity); err != nil {
			return fmt.Errorf("the backup's shard %d: %w", i, err)
		}
		if s.Database != cfg.Shards[i].Database {
			return fmt.Errorf("the backup's %s holds the database %s, the settings say %s: set DB_NAME to what it was", s.Name, s.Database, cfg.Shards[i].Database)
		}
	}
	return nil
}

// SamePasswords tells whether the passwords in the settings are those of the time of the backup, which the data goes on to ask for.
func (m *Manifest) SamePasswords(cfg config.Config) (bool, error) {
	got, err := fingerprint(m.Cluster, SourceOf(cfg).passwords)
	return got == m.Passwords, err
}

// String says in a line what a person wants to know.
func (m *Manifest) String() string {
	return fmt.Sprintf("backup of cluster %s, %d shards, PostgreSQL %s, as they were at %s: %s, unpacked %s",
		m.Cluster, len(m.Shards), m.Postgres, m.Cut.Format(time.RFC3339), progress.Size(m.Packed()), progress.Size(m.Unpacked()))
}
