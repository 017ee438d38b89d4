package main

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// TestLoadtest compiles the load tests and runs their smoke suite, shortened.
func TestLoadtest(t *testing.T) {
	if _, err := exec.LookPath("mvn"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("Maven is missing: CI must not pass over the load tests")
		}
		t.Skip("needs Maven: `make loadtest-smoke` installs it")
	}
	testcluster.Open(t)
	s := start(t)
	cmd := exec.CommandContext(t.Context(), "../../../scripts/loadtest-sharded.sh", "smoke")
	cmd.Env = append(os.Environ(), "LOADTEST_RUNTIME=native", "LOADTEST_URL="+s.url, "LOADTEST_RESULTS="+t.TempDir(),
		"USERS=10", "RAMP=1", "DURATION=8", "THINK_MS=50", "MAX_KO=0", "P95_MS=10000", "P99_MS=10000")
	output, err := cmd.CombinedOutput()
	out := string(output)
	if err != nil || !strings.Contains(out, "smoke passed") {
		t.Fatalf("%v:\n%s", err, out)
	}
	total := regexp.MustCompile(`(?m)^all +(\d+) +100 %`).FindStringSubmatch(out)
	if total == nil {
		t.Fatalf("no summary:\n%s", out)
	}
	if requests, _ := strconv.Atoi(total[1]); requests < 300 {
		t.Errorf("%d requests in 9 s of 10 users who think 50 ms:\n%s", requests, out)
	}
}
