package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for name, text := range map[string]string{
		"Makefile":                        "up: ## start\n\t@true\n",
		"server/internal/shard/ring.go":   "package shard\n",
		"server/internal/shard/r_test.go": "package shard\n\nfunc TestRing(t *testing.T) {}\n",
		"docs/OTHER.md":                   "# One `thing`, twice\n\n## One thing, twice\n",
		"README.md": `# Read me

[top](#read-me), [another](docs/OTHER.md#one-thing-twice-1), [elsewhere](https://example.com/none), ![none](docs/none.svg)
[gone](docs/GONE.md) and [no heading](docs/OTHER.md#three-things),

| ` + "`shard/ring.go` | `server/internal/` | `TestRing` | `make up` | `make loadtest-…` | `.env` | `a/b` |" + `
|---|---|---|---|---|---|---|
| ` + "`shard/rings.go` | `server/external/` | `TestRings` | `make upp` | | | |" + `

` + "```sh\nmake up\nmake away\n```\n",
	} {
		file := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	}
	problems, pages, err := check(root)
	require.NoError(t, err)
	require.Equal(t, 2, pages)
	require.Equal(t, []string{
		"README.md:3: (docs/none.svg): there is no docs/none.svg",
		"README.md:4: (docs/GONE.md): there is no docs/GONE.md",
		"README.md:4: (docs/OTHER.md#three-things): docs/OTHER.md has no such heading",
		"README.md:8: `shard/rings.go`: there is no such file",
		"README.md:8: `server/external/`: there is no such file",
		"README.md:8: `TestRings`: there is no such test",
		"README.md:8: make upp: there is no such command",
		"README.md:12: make away: there is no such command",
	}, problems)
}
