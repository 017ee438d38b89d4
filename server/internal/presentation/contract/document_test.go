package contract

import (
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// TestDocumentIsOpenAPI lets a library of others judge the document, its
// examples too.
func TestDocumentIsOpenAPI(t *testing.T) {
	t.Parallel()
	document, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := openapi3.NewLoader().LoadFromData(document.JSON)
	if err != nil {
		t.Fatal(err)
	}
	if err := loaded.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
}
