package problems

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the pages' template and style
	"encoding/base64"
	"fmt"
	"html"
	"html/template"
	"net/http"
	"strings"
)

// Pages explain the types, in HTML and in Markdown. They are made once: what
// they say changes with the program only.
type Pages struct {
	index Page
	types map[string]Page
}

// Page is one explanation.
type Page struct {
	Explained any // for JSON: an Explanation, or the index's list of them
	HTML      []byte
	Markdown  []byte
}

// Explanation is a Type as JSON.
type Explanation struct {
	Type    string `json:"type"`
	Status  int    `json:"status"`
	Title   string `json:"title"`
	Meaning string `json:"meaning"`
	Advice  string `json:"advice"`
}

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string
)

// Policy is the pages' Content-Security-Policy: our style, and nothing else
// from anywhere.
var Policy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'sha256-" + styleHash() + "'"

func styleHash() string {
	sum := sha256.Sum256([]byte(pageCSS))
	return base64.StdEncoding.EncodeToString(sum[:])
}

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"css":        func() template.CSS { return template.CSS(pageCSS) }, // our own file
	"code":       codeToHTML,
	"statusText": http.StatusText,
}).Parse(pageHTML))

// NewPages renders the explanations of all types.
func NewPages() *Pages {
	pages := &Pages{types: make(map[string]Page)}
	all := make([]Explanation, 0, len(table))
	for _, t := range table {
		e := Explanation{Type: t.URL(), Status: t.Status, Title: t.Title, Meaning: t.Meaning, Advice: t.Advice}
		all = append(all, e)
		pages.types[t.Slug] = Page{Explained: e, HTML: render("type", t), Markdown: []byte(markdown(t))}
	}
	pages.index = Page{Explained: all, HTML: render("index", table), Markdown: []byte(markdownIndex())}
	return pages
}

// Index is the page that lists all types.
func (p *Pages) Index() Page { return p.index }

// Find returns the page of a type.
func (p *Pages) Find(slug string) (page Page, ok bool) {
	page, ok = p.types[slug]
	return page, ok
}

// render panics where the template does not fit the types: both are ours, and
// every start and test renders them all.
func render(name string, data any) []byte {
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, name, data); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func markdown(t *Type) string {
	return fmt.Sprintf("# %s\n\n`%s`, status %d %s\n\n## What has happened\n\n%s\n\n## What to do\n\n%s\n",
		t.Title, t.URL(), t.Status, http.StatusText(t.Status), t.Meaning, t.Advice)
}

func markdownIndex() string {
	var b strings.Builder
	b.WriteString("# Problems\n\n| status | type | title |\n|---|---|---|\n")
	for _, t := range table {
		fmt.Fprintf(&b, "| %d | [`%s`](%s) | %s |\n", t.Status, t.URL(), t.URL(), t.Title)
	}
	return b.String()
}

// codeToHTML is Markdown's `code` in HTML.
func codeToHTML(text string) template.HTML {
	parts := strings.Split(html.EscapeString(text), "`")
	for i := 1; i < len(parts); i += 2 {
		parts[i] = "<code>" + parts[i] + "</code>"
	}
	return template.HTML(strings.Join(parts, "")) // escaped above
}
