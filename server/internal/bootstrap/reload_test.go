package bootstrap

import (
	"embed"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/freshness"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/metrics"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/ratelimit"
)

// TestGenerationKnowsTheMemory: whatever says how the shared memory is laid out is in
// the files whose change takes a new master.
func TestGenerationKnowsTheMemory(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		source embed.FS
		roots  []string // what is mapped
	}{
		{"freshness", freshness.Source, []string{"memory"}},
		{"metrics", metrics.Source, []string{"header", "slot"}},
		{"ratelimit", ratelimit.Source, []string{"memory"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			declared := declarations(t, filepath.Join("..", "infra", c.name))
			seen := map[string]bool{}
			for names := slices.Clone(c.roots); len(names) > 0; names = names[1:] {
				found := declared[names[0]]
				if found.file == "" || seen[names[0]] { // of another package, a field, or known
					continue
				}
				seen[names[0]] = true
				if _, err := c.source.ReadFile(found.file); err != nil {
					t.Errorf("%s lays out the memory by %s, and is not in Source", found.file, names[0])
				}
				ast.Inspect(found.node, func(n ast.Node) bool {
					if id, ok := n.(*ast.Ident); ok {
						names = append(names, id.Name)
					}
					return true
				})
			}
			if len(seen) < 4 {
				t.Errorf("found only %v", seen)
			}
		})
	}
}

// declaration is of a type, constant or variable, in a file.
type declaration struct {
	file string
	node ast.Node
}

// declarations are those of a package, by their names.
func declarations(t *testing.T, folder string) map[string]declaration {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]declaration{}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			group, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range group.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					found[s.Name.Name] = declaration{filepath.Base(path), s}
				case *ast.ValueSpec:
					for _, name := range s.Names {
						found[name.Name] = declaration{filepath.Base(path), group} // iota counts over all of it
					}
				}
			}
		}
	}
	return found
}
