package contract_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/contract/contracttest"
)

// TestDocumentAllowsWhatTheParsersDo draws strings around the border of what is
// allowed, and asks the document and the code.
func TestDocumentAllowsWhatTheParsersDo(t *testing.T) {
	t.Parallel()
	document, err := contracttest.Load()
	if err != nil {
		t.Fatal(err)
	}
	spaces := strings.Split("\t\n\v\f\r \u0085\u00a0\u1680\u2000\u200a\u2028\u2029\u202f\u205f\u3000\ufeff\u200b", "")
	long := strings.Repeat("x", 90)
	for name, test := range map[string]struct {
		schema string
		parts  []string
		parse  func(string) error
	}{
		"name": {
			"/components/schemas/NameInput",
			append(spaces, "a", "ä", "\u674e", "😀", "\x00", "\x1f", "\x7f", "\u0080", "\u009f", "\u00ad", "\ufe0f", "\u200e", "\u202e", "\ufffd", long, "xxxxxxxxxx"),
			func(s string) error { _, err := entities.ParseName(s); return err },
		},
		"email": {
			"/components/schemas/EmailInput",
			append(spaces, "a", "Z", "9", ".", "@", "@", "-", "_", "+", "'", `"`, "(", "<", ":", "\\", "ä", "[127.0.0.1]", "ada@example.com", "x.y", long,
				"@"+strings.Repeat("d.", 90)+"com", strings.Repeat("l", 32), strings.Repeat("l", 64)+"@", strings.Repeat("l", 63)+"."),
			func(s string) error { _, err := entities.ParseEmail(s); return err },
		},
		"idempotency key": {
			"/components/parameters/IdempotencyKey/schema",
			[]string{"a", "!", "~", " ", "\x7f", "ä", "\t", strings.Repeat("k", 126)},
			func(s string) error { _, err := entities.ParseIdempotencyKey(s); return err },
		},
		"id": {
			"/paths/~1api~1v1~1users~1{id}/parameters/0/schema",
			[]string{"01939f2e-7c1a-7bd2-8f0e-3f5b6c7d8e9f", "01939F2E", "-7c1A", "-0000", "-ffff", "-3f5b6c7d8e9f", "g", "{", "}", "urn:uuid:", "-"},
			func(s string) error {
				if len(s) != 36 {
					return errors.New("must have 36 characters")
				}
				_, err := uuid.Parse(s)
				return err
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			allowed := 0
			for range 10_000 {
				parts := make([]string, rand.IntN(8))
				for i := range parts {
					parts[i] = test.parts[rand.IntN(len(test.parts))]
				}
				s := strings.Join(parts, "")
				says, parser := document.Validate(test.schema, s), test.parse(s)
				if (says == nil) != (parser == nil) {
					t.Fatalf("%q: the document says %v; the parser says %v", s, says, parser)
				}
				if says == nil {
					allowed++
				}
			}
			if allowed < 5 {
				t.Errorf("%d of what was drawn are allowed: this compares too little", allowed)
			}
		})
	}
}
