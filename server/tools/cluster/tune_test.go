package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// asCluster in the environment has this test program be the cluster command.
const asCluster = "TEST_AS_CLUSTER"

func TestMain(m *testing.M) {
	if os.Getenv(asCluster) != "" {
		main()
		return
	}
	m.Run()
}

// testTuning tunes a running cluster by scripts/tune-postgres.sh, and takes that
// back. What the script writes is in a folder of the test.
func testTuning(t *testing.T, c *cluster) {
	t.Helper()
	root := t.TempDir()
	script := filepath.Join(root, "scripts", "tune-postgres.sh")
	for _, folder := range []string{"scripts", "server"} {
		if err := os.Mkdir(filepath.Join(root, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(filepath.Join(root, "database"), os.DirFS(filepath.Join(c.root, "database"))); err != nil {
		t.Fatal(err)
	}
	tuned := filepath.Join(root, "database", "postgres", "tuned.conf")
	for _, file := range []string{tuned, tuned + ".before"} { // of who runs the tests
		if err := os.RemoveAll(file); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(c.root, "scripts", "tune-postgres.sh"), script); err != nil {
		t.Fatal(err)
	}
	// As native.sh calls it, with nothing built.
	stack := `#!/bin/sh
cd "$(dirname "$0")/../server"
case $1 in
  runtime) echo native ;;
  db-shell) exec "$CLUSTER" db-shell "$SHARD" ;;
  databases-reload) exec "$CLUSTER" reload ;;
  databases-restart) exec "$CLUSTER" restart-databases "$2" ;;
  *) exit 2 ;;
esac
`
	if err := os.WriteFile(filepath.Join(root, "scripts", "stack.sh"), []byte(stack), 0o755); err != nil {
		t.Fatal(err)
	}
	tune := func(ok bool, options ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), script, slices.Concat([]string{"--memory", "12", "--cpus", "10", "--instances", "2"}, options)...)
		cmd.Env = slices.Concat(os.Environ(), c.cfg.Environ(), []string{
			asCluster + "=1", "CLUSTER=" + os.Args[0], "STATE_DIR=" + c.dir, "YES=",
			"POSTGRES_PASSWORD=" + c.env["POSTGRES_PASSWORD"], "DB_REPLICATION_PASSWORD=" + c.env["DB_REPLICATION_PASSWORD"],
		})
		out, err := cmd.CombinedOutput()
		if (err == nil) != ok {
			t.Fatalf("%v: %v:\n%s", options, err, out)
		}
		return string(out)
	}
	shows := func(out string, lines ...string) {
		t.Helper()
		for _, line := range lines {
			if !regexp.MustCompile(`(?m)^` + strings.Join(strings.Fields(line), ` +`) + `$`).MatchString(out) {
				t.Errorf("want a line %q:\n%s", line, out)
			}
		}
	}
	has := func(name, want string) {
		t.Helper()
		for _, i := range append(c.primaries(), c.replicas()...) {
			var got string
			if err := c.askOne(t.Context(), i, "SELECT current_setting('"+name+"')", &got); err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Errorf("%s of %s is %s, want %s", name, i.name, got, want)
			}
		}
	}
	untouched := func() {
		t.Helper()
		if _, err := os.Stat(tuned); !os.IsNotExist(err) {
			t.Errorf("%s: %v, want none", tuned, err)
		}
		has("random_page_cost", "4")
	}

	changes := []string{
		"shared_buffers 128MB 896MB RESTART", "max_worker_processes 8 10 RESTART", "random_page_cost 4 1.1 reload", "maintenance_work_mem 64MB 224MB reload",
	}
	out := tune(true, "--dry-run")
	shows(out, changes...)
	if regexp.MustCompile(`(?m)^(fsync|synchronous_commit|full_page_writes|max_connections|wal_level)`).MatchString(out) {
		t.Errorf("what is safe is changed:\n%s", out)
	}
	untouched()
	if out := tune(false); !strings.Contains(out, "nothing was changed") {
		t.Errorf("without a terminal and without --yes: %s", out)
	}
	untouched()
	if out := tune(false, "--undo", "--yes"); !strings.Contains(out, "nothing to undo") {
		t.Errorf("undone before anything was done: %s", out)
	}

	out = tune(true, "--yes", "--restart")
	shows(out, changes...)
	has("random_page_cost", "1.1")
	has("shared_buffers", "896MB")
	has("max_worker_processes", "10")
	before := mustRunning(t, c)
	if out := tune(true, "--yes", "--restart"); !strings.Contains(out, "Everything is set so already.") {
		t.Errorf("tuned twice: %s", out)
	}
	for name, p := range mustRunning(t, c) {
		if p.pid != before[name].pid {
			t.Errorf("%s was restarted for nothing", name)
		}
	}

	out = tune(true, "--undo", "--yes")
	shows(out, "shared_buffers 896MB 128MB RESTART", "random_page_cost 1.1 default reload", `Waiting for a restart .*: max_worker_processes, shared_buffers`)
	has("shared_buffers", "896MB")
	untouched()
	// A person's mistake, which nobody would notice until the next start.
	if err := os.WriteFile(tuned+".before", []byte("work_mem = 4XB\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := tune(false, "--undo", "--yes"); !strings.Contains(out, "tuned.conf:1: work_mem = 4XB: setting could not be applied") {
		t.Errorf("a unit that does not exist:\n%s", out)
	}
}
