package problems

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestTypesAreExplained holds every type to what clients are told: a slug that
// can stand in a URL and is nobody else's, a status that is a failure's, and
// whole sentences about what has happened and what to do.
func TestTypesAreExplained(t *testing.T) {
	t.Parallel()
	slug, sentences := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`), regexp.MustCompile("^[A-Z`].*[.]$")
	seen := make(map[string]bool)
	for _, typ := range All() {
		if !slug.MatchString(typ.Slug) || seen[typ.Slug] {
			t.Errorf("%q is no slug, or not the only one", typ.Slug)
		}
		seen[typ.Slug] = true
		if typ.Status < 400 || http.StatusText(typ.Status) == "" || typ.Title == "" {
			t.Errorf("%s: status %d, title %q", typ.Slug, typ.Status, typ.Title)
		}
		for _, text := range []string{typ.Meaning, typ.Advice} {
			if !sentences.MatchString(text) || strings.Count(text, "`")%2 != 0 {
				t.Errorf("%s: %q is not made of sentences with `code`", typ.Slug, text)
			}
		}
		if Find(typ.Slug) != typ {
			t.Errorf("%s is not found", typ.Slug)
		}
	}
	if !slices.IsSortedFunc(All(), func(a, b *Type) int { return a.Status - b.Status }) {
		t.Error("the types are not ordered by status")
	}
	if Find("nothing") != nil {
		t.Error("a type of no name is found")
	}
}

// TestPagesNeedNothingElse looks for anything a page would fetch: it must be
// readable without a network.
func TestPagesNeedNothingElse(t *testing.T) {
	t.Parallel()
	pages := NewPages()
	all := []Page{pages.Index()}
	for _, typ := range All() {
		page, ok := pages.Find(typ.Slug)
		if !ok {
			t.Errorf("%s has no page", typ.Slug)
		}
		if !strings.Contains(string(page.HTML), typ.Title) || !strings.Contains(string(page.Markdown), typ.Advice) {
			t.Errorf("%s's page does not explain it: %s", typ.Slug, page.HTML)
		}
		if !strings.Contains(string(pages.Index().HTML), `href="`+typ.URL()+`"`) {
			t.Errorf("the index does not lead to %s", typ.URL())
		}
		all = append(all, page)
	}
	fetching := regexp.MustCompile(`(?i)<(script|img|link|iframe)|\bsrc=|url\(|@import|https?:`)
	for _, page := range all {
		if found := fetching.Find(page.HTML); found != nil {
			t.Errorf("a page fetches something: %s", found)
		}
		_, rest, _ := strings.Cut(string(page.HTML), "<style>")
		style, _, _ := strings.Cut(rest, "</style>")
		sum := sha256.Sum256([]byte(style))
		if !strings.Contains(Policy, base64.StdEncoding.EncodeToString(sum[:])) {
			t.Errorf("the policy %s forbids the page's style", Policy)
		}
		if strings.Contains(string(page.HTML), "`") {
			t.Errorf("a page shows a backtick: %s", page.HTML)
		}
	}
}
