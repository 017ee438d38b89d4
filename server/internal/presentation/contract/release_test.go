package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "take the document for released, if that breaks no client whom its version does not warn")

// released is the document that clients know.
const released = "testdata/released.json"

// TestReleased compares the document with what was released last. A change that
// breaks clients fails until Version's first number is a higher one; any other
// is taken in by
//
//	go test ./internal/presentation/contract -run TestReleased -update
func TestReleased(t *testing.T) {
	document, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	var now bytes.Buffer
	if err := json.Indent(&now, document.JSON, "", " "); err != nil {
		t.Fatal(err)
	}
	now.WriteByte('\n')
	before, err := os.ReadFile(released)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(before, now.Bytes()) {
		return
	}
	if breaks := breaking(t, before, now.Bytes()); breaks != "" && major(Version) == major(versionOf(t, before)) {
		t.Fatalf("this breaks clients of %s:\n%s\nTake it back, or raise the first number of Version in document.go.", versionOf(t, before), breaks)
	}
	if !*update {
		t.Fatal("the document has changed. Its version allows that: release it with  go test ./internal/presentation/contract -run TestReleased -update")
	}
	if err := os.WriteFile(released, now.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestBreakingIsFound changes the document in ways that break clients, and in
// ways that do not.
func TestBreakingIsFound(t *testing.T) {
	t.Parallel()
	document, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, old, changed, want string }{
		{"a member that may be missing", `"required":["id","name","email","created_at","updated_at"]`, `"required":["id","name","created_at","updated_at"]`, "became optional"},
		{"a lower limit", `"maximum":100,"default":20`, `"maximum":50,"default":20`, "max was decreased"},
		{"a path that is gone", `"/livez":{`, `"/lives":{`, "path removed"},
		{"a field that must be sent", `"NewUser":{"type":"object","required":["name","email"],"additionalProperties":false,"properties":{`, `"NewUser":{"type":"object","required":["name","email","age"],"additionalProperties":false,"properties":{"age":{"type":"integer"},`, "required"},
		{"a new member", `"User":{"type":"object","required":["id","name","email","created_at","updated_at"],"properties":{`, `"User":{"type":"object","required":["id","name","email","created_at","updated_at"],"properties":{"age":{"type":"integer"},`, ""},
		{"a new parameter", `"/livez":{"get":{"operationId":"live",`, `"/livez":{"parameters":[{"name":"loud","in":"query","schema":{"type":"boolean"}}],"get":{"operationId":"live",`, ""},
		{"other words", `"summary":"Create a user"`, `"summary":"Make a user"`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			changed := strings.Replace(string(document.JSON), test.old, test.changed, 1)
			if changed == string(document.JSON) {
				t.Fatalf("the document has no %s", test.old)
			}
			got := breaking(t, document.JSON, []byte(changed))
			if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q in it", got, test.want)
			}
		})
	}
}

// breaking asks oasdiff what in a document breaks clients of another, and
// returns its words, "" for nothing.
func breaking(t *testing.T, before, now []byte) string {
	t.Helper()
	dir := t.TempDir()
	args := []string{"tool", "-modfile=tools/oasdiff.mod", "oasdiff", "breaking", "--fail-on", "ERR"}
	for name, text := range map[string][]byte{"before.json": before, "now.json": now} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", append(args, filepath.Join(dir, "before.json"), filepath.Join(dir, "now.json"))...)
	cmd.Dir = "../../.." // where go.mod is
	var failed bytes.Buffer
	cmd.Stderr = &failed
	out, err := cmd.Output()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &exit) && exit.ExitCode() == 1 && bytes.Contains(out, []byte(" error, ")):
		return string(out)
	default:
		t.Fatalf("oasdiff: %v\n%s%s", err, out, &failed)
		return ""
	}
}

func versionOf(t *testing.T, document []byte) string {
	t.Helper()
	var known struct{ Info struct{ Version string } }
	if err := json.Unmarshal(document, &known); err != nil {
		t.Fatal(err)
	}
	return known.Info.Version
}

func major(version string) string {
	first, _, _ := strings.Cut(version, ".")
	return first
}
