package live

import (
	"crypto/sha256"
	_ "embed" // the page's template, style and script
	"encoding/base64"
	"fmt"
	"html/template"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string
	//go:embed page.js
	pageJS string
)

// Policy is the page's Content-Security-Policy: its own style and script, and the
// stream of the server that it came from.
var Policy = fmt.Sprintf("default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; connect-src 'self'; img-src data:; style-src 'sha256-%s'; script-src 'sha256-%s'",
	hash(pageCSS), hash(pageJS))

// Build tells a page whose server has been replaced by another that it is to be
// loaded again.
var Build = hash(pageHTML + pageCSS + pageJS)

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}

var page = template.Must(template.New("page.html").Funcs(template.FuncMap{
	"css":   func() template.CSS { return template.CSS(pageCSS) }, // our own file
	"js":    func() template.JS { return template.JS(pageJS) },    // our own file
	"build": func() string { return Build },
}).Parse(pageHTML))
