package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/creack/pty"
)

// What docker says of a primary, a replica that is 3 MiB behind, one that hangs, and of services that are no databases.
const (
	dockerPS = `messenger_server|running|Up About a minute (health: starting)|127.0.0.1:8080->8080/tcp, 127.0.0.1:9090->9090/tcp
pgbouncer-0|running|Up 3 hours (healthy)|127.0.0.1:6430->6432/tcp
redis|exited|Exited (0) 2 minutes ago|
shard-0|running|Up 3 hours (healthy)|127.0.0.1:5440->5432/tcp
shard-0-replica|running|Up 3 hours (healthy)|127.0.0.1:5450->5432/tcp
shard-1|running|Up 3 hours (unhealthy)|127.0.0.1:5441->5432/tcp
`
	dockerStats = `test-messenger_server-1 150.27% 200.5MiB / 23.4GiB 1.21kB / 3.4MB
test-shard-0-1 0.05% 50.12MiB / 23.4GiB 0B / 1GB
`
)

var dockerSays = map[string]string{"shard-0": "primary running 13145728", "shard-0-replica": "replica streaming 10000000", "shard-1": "database silent 0"}

// TestDockerTables has the scripts of the Docker runtime make tables of what docker says, for programs and for a terminal.
func TestDockerTables(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for service, said := range dockerSays {
		if err := os.WriteFile(filepath.Join(folder, service), []byte(said+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command := func(function, says string, environ ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), "bash", "-euc", `project=test
			. ../../../scripts/docker-roles.sh
			. ../../../scripts/docker-show.sh
			`+function, "bash", folder)
		cmd.Stdin, cmd.Env = strings.NewReader(says), append(os.Environ(), append([]string{"LC_ALL=C.UTF-8", "NO_COLOR=", "TERM=xterm"}, environ...)...)
		return cmd
	}
	piped := func(function, says string) (rows [][]string) {
		said, err := command(function, says).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", function, err, said)
		}
		for line := range strings.Lines(string(said)) {
			rows = append(rows, strings.Fields(line))
		}
		return rows
	}
	equal := func(got [][]string, want ...string) {
		t.Helper()
		for i, line := range want {
			if i >= len(got) || strings.Join(got[i], " ") != line {
				t.Errorf("got %q, want %q in line %d", got, line, i)
			}
		}
	}
	equal(piped(`show_lines "$1"`, dockerPS),
		"messenger_server api starting - 127.0.0.1:8080 1_minute",
		"pgbouncer-0 pooler running - 127.0.0.1:6430 3_hours",
		"redis cache exited - - -",
		"shard-0 primary running - 127.0.0.1:5440 3_hours",
		"shard-0-replica replica streaming 3145728 127.0.0.1:5450 3_hours",
		"shard-1 database silent - 127.0.0.1:5441 3_hours")
	equal(piped(`show_stats "$1" 2`, dockerStats),
		"SERVICE ROLE CPU_PERCENT MEMORY_BYTES IN_BYTES OUT_BYTES",
		"messenger_server api 150.2 210239488 1210 3400000",
		"shard-0 primary 0.0 52554629 0 1000000000")

	terminal := func(function, says string, environ ...string) string {
		reader, screen, err := pty.Open()
		if err != nil {
			t.Fatal(err)
		}
		defer reader.Close()
		sent := make(chan string)
		go func() {
			text, _ := io.ReadAll(reader) // it ends with an error when nobody has the terminal open any more
			sent <- string(text)
		}()
		cmd := command(function, says, environ...)
		cmd.Stdout, cmd.Stderr = screen, screen
		if err := cmd.Run(); err != nil {
			t.Fatalf("%s: %v", function, err)
		}
		if err := screen.Close(); err != nil {
			t.Fatal(err)
		}
		return <-sent
	}
	for _, test := range []struct{ function, says, want string }{
		{`show_lines "$1"`, dockerPS, "shard-0-replica   replica   \x1b[32m● streaming\x1b[0m    3.0 MiB  127.0.0.1:5450  3 hours"},
		{`show_lines "$1"`, dockerPS, "\x1b[31;1m✗ silent "},
		{`show_stats "$1" 2`, dockerStats, "messenger_server   150.2 %  \x1b[33m████▌ \x1b[0m  200.5 MiB  ██████    1.1 KiB    3.2 MiB"},
		{`show_stats "$1" 2`, dockerStats, "shard-0              0.0 %  \x1b[32m▏     \x1b[0m   50.1 MiB  █▌            0 B  953.6 MiB"},
		{`show_stats "$1" 2`, dockerStats, "total              150.3 %"},
	} {
		if got := terminal(test.function, test.says); !strings.Contains(got, test.want) {
			t.Errorf("a terminal shows\n%s\nwithout %q", got, test.want)
		}
		if got := terminal(test.function, test.says, "NO_COLOR=1"); strings.Contains(got, "\x1b") || !strings.Contains(got, "shard-0") {
			t.Errorf("without colours a terminal shows\n%q", got)
		}
	}
}
