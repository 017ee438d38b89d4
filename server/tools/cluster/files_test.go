package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/messenger-clone/messenger-clone-api/server/config"
)

func TestCommandQuotesForSupervisor(t *testing.T) {
	t.Parallel()
	got := command("/opt/my tools/postgres", "-c", "listen_addresses=127.0.0.1", `a"b`, "")
	want := `"/opt/my tools/postgres" -c listen_addresses=127.0.0.1 "a\"b" ""`
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestPoolerINI(t *testing.T) {
	t.Parallel()
	c := &cluster{dir: "/state", cfg: config.Config{Shards: []config.Shard{
		{Name: "shard-0", Database: "messenger_0", Pooler: "127.0.0.1:6430", Primary: "127.0.0.1:5440"},
	}}}
	got, err := c.poolerINI(0)
	if err != nil {
		t.Fatal(err)
	}
	want := `[databases]
messenger_0 = host=127.0.0.1 port=5440 dbname=messenger_0

%include /state/conf/pgbouncer.ini

listen_addr = 127.0.0.1
listen_port = 6430
auth_file = /state/conf/pgbouncer-users.txt
admin_users = messenger_admin
`
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A clone must not take the primary's identity files with it, nor keep what only
// the running primary may have.
func TestCopyDataLeavesOut(t *testing.T) {
	t.Parallel()
	from, to := t.TempDir(), t.TempDir()
	for _, name := range []string{
		"PG_VERSION", "base/1/1259", "global/pg_control", "pg_xact/0000",
		"postmaster.pid", "postgresql.auto.conf", "pg_wal/000000010000000000000001", "pg_replslot/shard_0_replica/state", "base/pgsql_tmp/pgsql_tmp1.0",
	} {
		path := filepath.Join(from, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(to, "postgresql.auto.conf"), []byte("ours"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := copyData(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
	var got []string
	err := filepath.Walk(to, func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			got = append(got, strings.TrimPrefix(path, to+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := "PG_VERSION base/1/1259 global/pg_control pg_xact/0000 postgresql.auto.conf"
	if strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
	if text, _ := os.ReadFile(filepath.Join(to, "postgresql.auto.conf")); string(text) != "ours" {
		t.Errorf("the standby's settings became %q", text)
	}
	if info, err := os.Stat(filepath.Join(to, "pg_replslot")); err != nil || !info.IsDir() {
		t.Errorf("pg_replslot must be there, empty: %v", err)
	}
}

func TestCheckShape(t *testing.T) {
	t.Parallel()
	c := &cluster{dir: t.TempDir(), cfg: config.Config{Shards: make([]config.Shard, 3)}}
	if err := c.checkShape(); err != nil {
		t.Errorf("an empty folder: %v", err)
	}
	if err := os.WriteFile(c.path("shards"), []byte("5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.checkShape(); err == nil || !strings.Contains(err.Error(), "SHARDING_COUNT") {
		t.Errorf("data of 5 shards, settings for 3: got %v, want a refusal that names SHARDING_COUNT", err)
	}
}

func TestVerifyArchiveRefusesAnother(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "binaries.txz"), []byte("not it"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := verifyArchive(dir); err == nil || !strings.Contains(err.Error(), "SHA-256") {
		t.Errorf("got %v, want a refusal", err)
	}
}

func TestCheckAddrsRefusesOtherMachines(t *testing.T) {
	t.Parallel()
	c := &cluster{cfg: config.Config{RedisAddr: "127.0.0.1:6379", Shards: []config.Shard{
		{Name: "shard-0", Database: "messenger_0", Pooler: "10.1.2.3:6432", Primary: "127.0.0.1:5440"},
	}}}
	if err := c.checkAddrs(); err == nil || !strings.Contains(err.Error(), "10.1.2.3:6432") {
		t.Errorf("got %v, want the address refused", err)
	}
}
