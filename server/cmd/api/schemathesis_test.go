package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// TestSchemathesis lets a tool that knows nothing but /openapi.json draw
// requests, right and wrong ones, and follow the links from answer to answer.
// It judges every answer by the document.
func TestSchemathesis(t *testing.T) {
	program := os.Getenv("SCHEMATHESIS")
	if program == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("SCHEMATHESIS is not set: CI must not pass over it")
		}
		t.Skip("needs Schemathesis: run `make test`")
	}
	examples, least, seed := "45", 1000, "1" // per operation; in all; so that a change of ours is what makes it fail
	if os.Getenv("TEST_LONG") != "" {
		examples, least, seed = "1000", 10_000, strconv.FormatInt(time.Now().Unix(), 10)
	}
	folder, err := filepath.Abs("../../tools/schemathesis")
	if err != nil {
		t.Fatal(err)
	}
	testcluster.Open(t)
	s := start(t)

	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "--no-color", "--config-file", filepath.Join(folder, "schemathesis.toml"),
		"run", s.url+"/openapi.json", "--max-examples", examples, "--seed", seed)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "HOOKS="+filepath.Join(folder, "hooks.py"), "PYTHONDONTWRITEBYTECODE=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
	cases := 0
	if found := regexp.MustCompile(`(\d+) generated`).FindSubmatch(out); found != nil {
		cases, _ = strconv.Atoi(string(found[1]))
	}
	if cases < least {
		t.Errorf("%d cases, want %d:\n%s", cases, least, out)
	}
	for _, line := range s.matching(func(l logLine) bool { return l.Msg == "request" && l.Status >= 500 && l.Status != 501 }) {
		t.Errorf("%s %s was answered with %d: %s", line.Method, line.Route, line.Status, line.Err)
	}
	t.Logf("%d cases, seed %s", cases, seed)
}
