package main

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// TestGeneratedClient makes a client of the document that the server serves, by
// a generator that knows nothing else, and lives the life of a user with it.
func TestGeneratedClient(t *testing.T) {
	testcluster.Open(t)
	s := start(t)
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../tools/apiclient")); err != nil {
		t.Fatal(err)
	}
	res, err := s.client.Get(s.url + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	document, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("/openapi.json: %d, %v", res.StatusCode, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "openapi.json"), document, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"go", "tool", "oapi-codegen", "-config", "generate.yaml", "openapi.json"},
		{"go", "build", "-o", "apiclient", "."},
		{"./apiclient", s.url},
	} {
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		t.Logf("%v: %s", args, out)
	}
}
