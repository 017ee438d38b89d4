// Package docs makes the page of the API's documentation out of its contract:
// one file, without anything from elsewhere.
package docs

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page's template, style and script
	"encoding/base64"
	"fmt"
	"html/template"

	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/contract"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string
	//go:embed page.js
	pageJS string
)

// Policy is the page's Content-Security-Policy: its own style and script, and
// requests to the server that it came from.
var Policy = fmt.Sprintf("default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; connect-src 'self'; style-src 'sha256-%s'; script-src 'sha256-%s'",
	hash(pageCSS), hash(pageJS))

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Page renders the documentation.
func Page(from contract.Document) ([]byte, error) {
	root, err := follow(from.Root, from.Root)
	if err != nil {
		return nil, fmt.Errorf("documentation: %w", err)
	}
	var doc document
	if err := root.Decode(&doc); err != nil {
		return nil, fmt.Errorf("documentation: %w", err)
	}
	sections, err := view(doc)
	if err != nil {
		return nil, fmt.Errorf("documentation: %w", err)
	}
	problem, _ := doc.Components.Schemas.find("Problem")
	t, err := template.New("page").Funcs(template.FuncMap{
		"css":      func() template.CSS { return template.CSS(pageCSS) }, // our own file
		"js":       func() template.JS { return template.JS(pageJS) },    // our own file
		"markdown": markdown,
	}).Parse(pageHTML)
	if err != nil {
		return nil, fmt.Errorf("documentation: %w", err)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, map[string]any{"Info": doc.Info, "Sections": sections, "Problem": problem.fields("")}); err != nil {
		return nil, fmt.Errorf("documentation: %w", err)
	}
	return out.Bytes(), nil
}
