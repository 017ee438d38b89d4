package docs

import (
	"regexp"
	"strings"
	"testing"

	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/contract"
)

// TestPage looks at what a reader and a browser need: every operation, every
// field with a label, and nothing from elsewhere.
func TestPage(t *testing.T) {
	t.Parallel()
	document, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	rendered, err := Page(document)
	if err != nil {
		t.Fatal(err)
	}
	page := string(rendered)

	operations := regexp.MustCompile(`"operationId":"(\w+)"`).FindAllStringSubmatch(string(document.JSON), -1)
	shown := map[string]bool{}
	for _, operation := range operations {
		shown[operation[1]] = true // links name them again
	}
	for id := range shown {
		if !strings.Contains(page, `<details class="operation" id="`+id+`"`) {
			t.Errorf("the operation %s is not on the page", id)
		}
	}
	if len(shown) < 10 {
		t.Errorf("%d operations, want all", len(shown))
	}
	for _, field := range regexp.MustCompile(`<(?:input|select|textarea) id="([^"]+)"`).FindAllStringSubmatch(page, -1) {
		if strings.Count(page, `<label for="`+field[1]+`"`) != 1 {
			t.Errorf("the field %s has no label", field[1])
		}
	}
	ids := map[string]bool{}
	for _, id := range regexp.MustCompile(` id="([^"]+)"`).FindAllStringSubmatch(page, -1) {
		if ids[id[1]] {
			t.Errorf("the id %s is there twice", id[1])
		}
		ids[id[1]] = true
	}
	if found := regexp.MustCompile(`(?i)(src|href|action)="(?:[a-z]+:|//)[^"]*"|\burl\(|@import| on\w+="| style="`).FindString(page); found != "" {
		t.Errorf("the page asks for %s, which its policy forbids or which is elsewhere", found)
	}
}

// TestPolicy compares the hashes in the policy with what the page has.
func TestPolicy(t *testing.T) {
	t.Parallel()
	document, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	page, err := Page(document)
	if err != nil {
		t.Fatal(err)
	}
	for tag, directive := range map[string]string{"style": "style-src", "script": "script-src"} {
		_, rest, _ := strings.Cut(string(page), "<"+tag+">")
		content, _, found := strings.Cut(rest, "</"+tag+">")
		if want := directive + " 'sha256-" + hash(content) + "'"; !found || !strings.Contains(Policy, want) {
			t.Errorf("the policy %q lacks %q", Policy, want)
		}
	}
}
