package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/apitest"
)

const (
	// What the two kinds of blocks are marked with: commands that are run here, and what they print.
	runnable = "sh run"
	printed  = "text output"

	// top is the checkout's folder, where readers type commands.
	top = "../../.."

	workers = 2

	// A page takes seconds. This is for a machine that does everything else at once.
	patience = 5 * time.Minute
)

// step is a block of commands and what they must print.
type step struct {
	line     int
	commands string
	output   *string // nil where it is not shown, or differs each time
}

// TestGuides runs the commands of all pages, with a cluster and a server of its own where readers have those of make dev.
func TestGuides(t *testing.T) {
	testcluster.Need(t)
	c, err := look(top)
	require.NoError(t, err)
	pages := make(map[string][]step)
	var names []string
	for _, name := range c.pages {
		source, err := os.ReadFile(filepath.Join(top, name))
		require.NoError(t, err)
		p, err := parse(source)
		require.NoError(t, err)
		if list := steps(t, name, p.fences); len(list) > 0 {
			pages[name] = list
			names = append(names, name)
		}
	}
	require.NotEmpty(t, names)

	testcluster.Open(t)
	environ := reader(t, apitest.Start(t, workers, func(apitest.Line) {}))
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			for _, wrong := range follow(t, environ, pages[name]) {
				t.Errorf("%s:%s", name, wrong)
			}
		})
	}
}

// TestFollow is the counter-proof: what does not do what its page says is noticed.
func TestFollow(t *testing.T) {
	t.Parallel()
	output := func(text string) *string { return &text }
	wrong := follow(t, os.Environ(), []step{
		{line: 1, commands: "name=Ada; echo one\necho  two", output: output("one\n…wo\n")},
		{line: 5, commands: "echo $name; echo; seq 9", output: output("Ada\n…\n8\n9\n")},
		{line: 9, commands: "echo $name", output: output("Bob\n")},
		{line: 12, commands: "echo one; echo two", output: output("one\n")},
		{line: 15, commands: "echo one", output: output("one\n…\n\ntwo\n")},
		{line: 18, commands: "false\ntrue"},
		{line: 21, commands: "cd /\nexit_at=none\npwd", output: output("/\n")},
	})
	require.Len(t, wrong, 4)
	for i, begin := range []string{"9: printed", "12: printed", "15: printed", "18: failed: false"} {
		require.Truef(t, strings.HasPrefix(wrong[i], begin), "got %q, want %q", wrong[i], begin)
	}
}

// steps joins blocks that are run with the output that follows them.
func steps(t *testing.T, name string, fences []fence) (list []step) {
	t.Helper()
	for i, f := range fences {
		switch f.info {
		case runnable:
			list = append(list, step{line: f.line, commands: f.text})
		case printed:
			if i == 0 || fences[i-1].info != runnable {
				t.Fatalf("%s:%d: an output without a block that is run before it", name, f.line)
			}
			list[len(list)-1].output = &f.text
		}
	}
	return list
}

// reader is the environment of somebody who has read the quick start: commands know the test's cluster as theirs, and curl finds
// its server where that of make dev would be.
func reader(t *testing.T, api *apitest.Server) []string {
	t.Helper()
	home := t.TempDir()
	var curl strings.Builder
	for _, host := range []string{"localhost", "127.0.0.1"} {
		fmt.Fprintf(&curl, "connect-to = \"%s:8080:%s\"\nconnect-to = \"%s:9090:%s\"\n", host, api.Addr, host, api.Admin)
	}
	require.NoError(t, os.WriteFile(filepath.Join(home, ".curlrc"), []byte(curl.String()+"noproxy = \"*\"\n"), 0o600))
	host, port, _ := strings.Cut(api.Addr, ":")
	var environ []string
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "MAKE") && !strings.HasPrefix(entry, "MFLAGS=") { // those are of the make that runs the tests
			environ = append(environ, entry)
		}
	}
	return append(environ, "CURL_HOME="+home, "RUNTIME=native", "HOST="+host, "PORT="+port, "ADMIN_ADDR="+api.Admin)
}

// follow runs steps one after the other in one shell, as a reader would, and says what went wrong. It goes on after that: a
// later step may take back what an earlier one did.
func follow(t *testing.T, environ []string, list []step) (wrong []string) {
	t.Helper()
	dir := t.TempDir()
	file := func(i int, what string) string { return filepath.Join(dir, fmt.Sprintf("%d.%s", i, what)) }
	script := "set -E\ntrap 'echo \"$BASH_COMMAND\" >>\"$failed\"' ERR\n"
	for i, s := range list {
		require.NoError(t, os.WriteFile(file(i, "sh"), []byte(s.commands), 0o600))
		script += fmt.Sprintf("failed=%[1]s.failed; source %[1]s.sh >%[1]s.out 2>%[1]s.err </dev/null\n", filepath.Join(dir, fmt.Sprint(i)))
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	shell := exec.CommandContext(ctx, "bash", "-c", script)
	shell.Dir, shell.Env = top, environ
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	shell.Cancel = func() error { return syscall.Kill(-shell.Process.Pid, syscall.SIGKILL) }
	if err := shell.Run(); ctx.Err() != nil {
		wrong = append(wrong, fmt.Sprintf("%d: not done after %s: %v", list[0].line, patience, err))
	}
	for i, s := range list {
		said, err := os.ReadFile(file(i, "out"))
		if errors.Is(err, os.ErrNotExist) {
			wrong = append(wrong, fmt.Sprintf("%d: was not run: a step before it ended the shell", s.line))
			continue
		}
		require.NoError(t, err)
		complained, err := os.ReadFile(file(i, "err"))
		require.NoError(t, err)
		if failed, err := os.ReadFile(file(i, "failed")); err == nil {
			wrong = append(wrong, fmt.Sprintf("%d: failed: %s%s", s.line, failed, complained))
		}
		if s.output != nil && !fits(*s.output, said) {
			wrong = append(wrong, fmt.Sprintf("%d: printed\n%s%s, but the page says\n%s", s.line, said, complained, *s.output))
		}
	}
	return wrong
}

var blanks = regexp.MustCompile(`[ \t\r]+`)

// fits compares what was printed with what a page shows. In that, `…` stands for anything within a line, and alone in a line for any number
// of lines. Blanks count as one: columns are as wide as what is in them.
func fits(shown string, said []byte) bool {
	const anything = "…"
	var pattern strings.Builder
	for line := range strings.Lines(tidy(shown)) {
		line = strings.TrimSuffix(line, "\n")
		if line == anything {
			pattern.WriteString(`(?:[^\n]*\n)*`)
			continue
		}
		for i, part := range strings.Split(line, anything) {
			if i > 0 {
				pattern.WriteString(`[^\n]*`)
			}
			pattern.WriteString(regexp.QuoteMeta(part))
		}
		pattern.WriteByte('\n')
	}
	return regexp.MustCompile("^" + pattern.String() + "$").MatchString(tidy(string(bytes.ToValidUTF8(said, nil))))
}

// tidy leaves away what nobody sees: blanks at the ends of lines and empty lines at the end.
func tidy(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimSpace(blanks.ReplaceAllString(line, " ")) + "\n")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}
