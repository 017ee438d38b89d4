package basebackup

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/progress"
)

// TestBackup makes one backup of the cluster, which takes a while, for all that is asked of it.
func TestBackup(t *testing.T) {
	cfg, m, dir := mustCreate(t)
	t.Run("what cannot be is refused", func(t *testing.T) { testRefusals(t, cfg, m, dir) })
	t.Run("every file is compared", func(t *testing.T) { testExtract(t, m, dir) })
	t.Run("damage is found", func(t *testing.T) { testDamage(t, cfg, m, dir) })
}

func mustCreate(t *testing.T) (config.Config, *Manifest, string) {
	t.Helper()
	testcluster.Open(t)
	cfg, err := config.LoadEnv("DB_PASSWORD", "DB_OWNER_PASSWORD", "DB_REPLICATION_PASSWORD")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "backup")
	display := progress.New(os.Stderr)
	defer display.Stop()
	m, err := Create(t.Context(), SourceOf(cfg), dir, display)
	if err != nil {
		t.Fatal(err)
	}
	return cfg, m, dir
}

// testDamage damages every file of a backup, and then takes one away.
func testDamage(t *testing.T, cfg config.Config, made *Manifest, dir string) {
	t.Helper()
	display := progress.New(os.Stderr)
	defer display.Stop()
	m, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Check(t.Context(), dir, display); err != nil {
		t.Fatalf("a backup that nobody touched: %v", err)
	}
	if err := m.Match(cfg); err != nil {
		t.Fatal(err)
	}
	if same, err := m.SamePasswords(cfg); err != nil || !same {
		t.Errorf("the passwords of now are not those of the backup: %v, %v", same, err)
	}
	if m.Shards[1].Cut != made.Shards[1].Cut || m.Shards[1].Cut < m.Shards[1].Stop || m.Cluster == "" {
		t.Errorf("got %+v, want what was made: %+v", m.Shards[1], made.Shards[1])
	}
	for _, f := range m.Shards[2].Files {
		path := filepath.Join(dir, f.Name)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		damaged := append([]byte(nil), whole...)
		damaged[len(damaged)/2] ^= 1
		for what, content := range map[string][]byte{"one bit": damaged, "the end": whole[:len(whole)-1]} {
			mustWrite(t, path, content)
			if err := m.Check(t.Context(), dir, display); err == nil || !strings.Contains(err.Error(), f.Name) {
				t.Errorf("%s of %s: got %v, want a refusal that names it", what, f.Name, err)
			}
		}
		mustWrite(t, path, whole)
	}
	if err := os.Remove(filepath.Join(dir, m.Shards[0].walFile())); err != nil {
		t.Fatal(err)
	}
	if err := m.Check(t.Context(), dir, display); err == nil || !strings.Contains(err.Error(), "not whole") {
		t.Errorf("a missing file: got %v", err)
	}
}

// testExtract compares every file with the list that PostgreSQL made, whatever our own checksums say.
func testExtract(t *testing.T, m *Manifest, dir string) {
	t.Helper()
	display := progress.New(os.Stderr)
	defer display.Stop()
	extract := func() error {
		to := t.TempDir()
		return m.Extract(t.Context(), dir, 0, to, display)
	}
	if err := extract(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, m.Shards[0].manifestFile())
	list, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	mustWrite(t, path, []byte(strings.Replace(string(list), `"Path": "PG_VERSION"`, `"Path": "PG_VERSION_NOT"`, 1)))
	if err := extract(); err == nil || !strings.Contains(err.Error(), "PG_VERSION_NOT") {
		t.Errorf("a file that is listed and not there: got %v", err)
	}
	mustWrite(t, path, list)
}

func testRefusals(t *testing.T, cfg config.Config, m *Manifest, dir string) {
	t.Helper()
	display := progress.New(os.Stderr)
	defer display.Stop()
	if _, err := Create(t.Context(), SourceOf(cfg), dir, display); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("over another backup: got %v", err)
	}
	fewer := cfg
	fewer.Shards = cfg.Shards[:len(cfg.Shards)-1]
	if err := m.Match(fewer); err == nil || !strings.Contains(err.Error(), "SHARDING_COUNT") {
		t.Errorf("for fewer shards: got %v", err)
	}
	other := *m
	other.Shards = append([]Shard(nil), m.Shards...)
	other.Shards[1].RingChecksum = "another"
	if err := other.Match(cfg); err == nil || !strings.Contains(err.Error(), "ring") {
		t.Errorf("by another ring: got %v", err)
	}
	t.Setenv("DB_OWNER_PASSWORD", "another")
	changed, err := config.LoadEnv()
	if err != nil {
		t.Fatal(err)
	}
	if same, err := m.SamePasswords(changed); err != nil || same {
		t.Errorf("other passwords are taken for the same: %v", err)
	}
	if _, err := Read(t.TempDir()); err == nil || !strings.Contains(err.Error(), "no backup") {
		t.Errorf("an empty folder: got %v", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	interrupted := filepath.Join(t.TempDir(), "interrupted")
	if _, err := Create(ctx, SourceOf(cfg), interrupted, display); err == nil {
		t.Error("an interrupted backup is none")
	}
	for _, name := range []string{interrupted, interrupted + ".partial"} {
		if _, err := os.Stat(name); err == nil {
			t.Errorf("an interrupted backup left %s", name)
		}
	}
}

func TestLSN(t *testing.T) {
	t.Parallel()
	at, err := parseLSN("1A/2F000028")
	if err != nil || at.String() != "1A/2F000028" {
		t.Fatalf("got %s, %v", at, err)
	}
	const segment = 16 << 20
	if got := at.segment(segment).segmentName(3, segment); got != "000000030000001A0000002F" {
		t.Errorf("got segment %s", got)
	}
	for _, text := range []string{"", "1", "1/", "g/0", "1/123456789"} {
		if _, err := parseLSN(text); err == nil {
			t.Errorf("%q is taken for a position", text)
		}
	}
}

func mustWrite(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
