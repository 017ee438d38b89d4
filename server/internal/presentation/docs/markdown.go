package docs

import (
	"html"
	"html/template"
	"regexp"
	"strings"
)

var (
	inlineCode = regexp.MustCompile("`([^`]+)`")
	inlineLink = regexp.MustCompile(`\[([^\]]+)\]\((/[^)\s]*)\)`)
	paragraph  = regexp.MustCompile(`\n\s*\n`)
)

// markdown renders what the document's descriptions use of it: paragraphs,
// `code` and [links](/within the server).
func markdown(text string) template.HTML {
	var out strings.Builder
	for _, part := range paragraph.Split(strings.TrimSpace(text), -1) {
		if part == "" {
			continue
		}
		part = html.EscapeString(part)
		part = inlineCode.ReplaceAllString(part, "<code>$1</code>")
		part = inlineLink.ReplaceAllString(part, `<a href="$2">$1</a>`)
		out.WriteString("<p>" + part + "</p>\n")
	}
	return template.HTML(out.String()) // escaped above
}
