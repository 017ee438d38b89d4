// Package contracttest holds answers against the contract: status, headers and
// body, and nothing beyond what it says.
package contracttest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/contract"
)

// Contract is the document, ready to judge answers.
type Contract struct {
	root    map[string]any
	paths   map[string]place
	schemas *jsonschema.Compiler

	mu       sync.Mutex
	compiled map[string]*jsonschema.Schema // by where they stand in the document
}

// Load returns the contract of this version of the server.
var Load = sync.OnceValues(func() (*Contract, error) {
	document, err := contract.Load()
	if err != nil {
		return nil, err
	}
	return parse(document.JSON)
})

const resource = "https://contract/openapi.json"

func parse(text []byte) (*Contract, error) {
	var root map[string]any
	if err := json.Unmarshal(text, &root); err != nil {
		return nil, err
	}
	closeObjects(root)
	c := &Contract{root: root, paths: map[string]place{}, schemas: jsonschema.NewCompiler(), compiled: map[string]*jsonschema.Schema{}}
	c.schemas.AssertFormat()
	if err := c.schemas.AddResource(resource, root); err != nil {
		return nil, err
	}
	all, _ := c.at(place{value: root}, "paths")
	for path := range all.value {
		c.paths[path], _ = c.at(all, path)
	}
	return c, nil
}

// closeObjects forbids what the document does not name. Clients must bear new
// members in answers, so it does not say that itself.
func closeObjects(value any) {
	switch value := value.(type) {
	case map[string]any:
		_, open := value["additionalProperties"]
		if _, object := value["properties"]; object && value["type"] == "object" && !open {
			value["additionalProperties"] = false
		}
		for key, member := range value {
			if key != "allOf" { // its parts see each other's members; what they refer to is closed
				closeObjects(member)
			}
		}
	case []any:
		for _, item := range value {
			closeObjects(item)
		}
	}
}

// place is an object in the document, and where it stands.
type place struct {
	pointer string
	value   map[string]any
}

// at goes from a place along keys, and follows references.
func (c *Contract) at(from place, keys ...string) (place, bool) {
	for _, key := range keys {
		value, ok := from.value[key].(map[string]any)
		if !ok {
			return place{}, false
		}
		from = place{from.pointer + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(key), value}
		if ref, ok := value["$ref"].(string); ok {
			to := strings.Split(strings.TrimPrefix(ref, "#/"), "/")
			if from, ok = c.at(place{value: c.root}, to...); !ok {
				return place{}, false
			}
		}
	}
	return from, true
}

// match returns the path item of a request's path, which may have a slash at its end.
func (c *Contract) match(path string) (place, bool) {
	segments := strings.Split(strings.TrimSuffix(path, "/"), "/")
	for template, item := range c.paths {
		want := strings.Split(strings.TrimSuffix(template, "/"), "/")
		if slices.EqualFunc(segments, want, func(got, want string) bool {
			return got == want || strings.HasPrefix(want, "{") && got != ""
		}) {
			return item, true
		}
	}
	return place{}, false
}

// methods are those that a path item knows, by itself or as every path does.
func methods(item place) (known []string) {
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		if _, ok := item.value[strings.ToLower(method)]; !ok {
			continue
		}
		known = append(known, method)
		if method == http.MethodGet {
			known = append(known, http.MethodHead)
		}
	}
	return append(known, http.MethodOptions)
}

// schema returns what stands at the pointer, compiled once.
func (c *Contract) schema(at place) (*jsonschema.Schema, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.compiled[at.pointer]; ok {
		return known, nil
	}
	compiled, err := c.schemas.Compile(resource + "#" + strings.ReplaceAll(at.pointer, "{", "%7B"))
	if err != nil {
		return nil, fmt.Errorf("the document's %s: %w", at.pointer, err)
	}
	c.compiled[at.pointer] = compiled
	return compiled, nil
}
