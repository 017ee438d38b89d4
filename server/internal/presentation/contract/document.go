// Package contract holds what the API promises: its OpenAPI document, in which
// every limit is the one that the code applies.
package contract

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"text/template"

	"go.yaml.in/yaml/v3"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/problems"
)

// Version is the document's. Its first number changes with whatever could
// break a client, its second with what is new; a test compares it with what
// was released last.
const Version = "1.0.0"

// MaxRequestIDLength is how long an X-Request-ID of a client's may be, in
// visible ASCII characters.
const MaxRequestIDLength = 128

//go:embed openapi.yaml
var source string

// Document is the contract, for machines and for pages about it.
type Document struct {
	JSON []byte
	Root *yaml.Node // the same, in the order in which it was written
}

// Load fills the limits into the document.
func Load() (Document, error) {
	text, err := fill()
	if err != nil {
		return Document{}, fmt.Errorf("openapi.yaml: %w", err)
	}
	var written yaml.Node
	if err := yaml.Unmarshal(text, &written); err != nil {
		return Document{}, fmt.Errorf("openapi.yaml: %w", err)
	}
	root, err := expand(&written)
	if err != nil {
		return Document{}, fmt.Errorf("openapi.yaml: %w", err)
	}
	text, err = JSON(root)
	if err != nil {
		return Document{}, fmt.Errorf("openapi.yaml: %w", err)
	}
	return Document{JSON: text, Root: root}, nil
}

// statusProblems are the problems that are answered with one status.
type statusProblems struct {
	Status int
	Types  []*problems.Type
}

func fill() ([]byte, error) {
	t, err := template.New("openapi.yaml").Option("missingkey=error").Funcs(template.FuncMap{
		"json":     inJSON,
		"add":      func(a, b int) int { return a + b },
		"trim":     func(pattern string) string { return strings.Trim(pattern, "^$") },
		"describe": describe,
	}).Parse(source)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = t.Execute(&out, map[string]any{
		"Version":                 Version,
		"DefaultLimit":            entities.DefaultLimit,
		"MaxLimit":                entities.MaxLimit,
		"MaxOffset":               entities.MaxOffset,
		"MaxNameLength":           entities.MaxNameLength,
		"MaxEmailLength":          entities.MaxEmailLength,
		"MaxIdempotencyKeyLength": entities.MaxIdempotencyKeyLength,
		"MaxRequestIDLength":      MaxRequestIDLength,
		"NamePattern":             entities.NamePattern,
		"BlankPattern":            entities.BlankPattern,
		"EmailPattern":            entities.EmailPattern,
		"LongLocalPattern":        entities.LongLocalPattern,
		"EntityTagsPattern":       entityTagsPattern,
		"UUIDPattern":             uuidPattern,
		"Problems":                problemsByStatus(),
		"Types":                   problems.All(),
	})
	return out.Bytes(), err
}

func problemsByStatus() (all []statusProblems) {
	for _, t := range problems.All() { // which is ordered by status
		if len(all) == 0 || all[len(all)-1].Status != t.Status {
			all = append(all, statusProblems{Status: t.Status})
		}
		last := &all[len(all)-1]
		last.Types = append(last.Types, t)
	}
	return all
}

// describe says in words what a status stands for, linked to the pages about it.
func describe(status int) (string, error) {
	for _, p := range problemsByStatus() {
		if p.Status == status {
			words := make([]string, 0, len(p.Types))
			for _, t := range p.Types {
				words = append(words, fmt.Sprintf("[%s](%s)", t.Title, t.URL()))
			}
			return inJSON(strings.Join(words, ", ") + ".")
		}
	}
	return "", fmt.Errorf("no problem has the status %d", status)
}

// inJSON writes a value as JSON, which is YAML too: in ASCII, so that a reader
// sees what would be invisible. (Only what takes two escapes in JSON, and one in
// YAML, stays as it is.)
func inJSON(value any) (string, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // nothing here is HTML
	if err := encoder.Encode(value); err != nil {
		return "", err
	}
	var ascii strings.Builder
	for _, r := range strings.TrimSpace(text.String()) {
		if r < 0x7f || r > 0xffff {
			ascii.WriteRune(r)
		} else {
			fmt.Fprintf(&ascii, `\u%04x`, r)
		}
	}
	return ascii.String(), nil
}
