package entities

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParseName(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		in, want string
		ok       bool
	}{
		{"Ada", "Ada", true},
		{"  Ada Lovelace\t", "Ada Lovelace", true},
		{"李", "李", true},
		{`O'Hara "x" \ ∀`, `O'Hara "x" \ ∀`, true},
		{strings.Repeat("é", 100), strings.Repeat("é", 100), true},
		{strings.Repeat("é", 101), "", false},
		{"", "", false},
		{" \n ", "", false},
		{"a\x00b", "", false},
		{"a\nb", "", false},
		{"a\u0085b", "", false},
		{"a\xffb", "", false},
		{"\u2028Ada\u3000", "Ada", true},
		{"نگار\u200cخانه", "نگار\u200cخانه", true}, // a joiner that Persian needs
		{"👩\u200d🚀", "👩\u200d🚀", true},
		{"\u200eעדה\u200e", "\u200eעדה\u200e", true},
		{"A\u0301da", "A\u0301da", true},
		{"\ue000", "\ue000", true}, // of private use: somebody's fonts show it
		{"ada\u202egpj.exe", "", false},
		{"ada\u2066x\u2069", "", false},
		{"a\u200bda", "", false},
		{"\ufeffAda", "", false},
		{"a\u2028b", "", false},
		{"a\ufffdb", "", false},
		{"\u200d", "", false},
		{"\u3164 \u200e", "", false},
	} {
		got, err := ParseName(test.in)
		if string(got) != test.want || (err == nil) != test.ok {
			t.Errorf("ParseName(%q) = %q, %v; want %q, ok %t", test.in, got, err, test.want, test.ok)
		}
		if err != nil && KindOf(err) != Invalid {
			t.Errorf("ParseName(%q) fails with kind %d, want Invalid", test.in, KindOf(err))
		}
	}
}

// TestNamePattern compares the pattern with the parser, character by character.
func TestNamePattern(t *testing.T) {
	t.Parallel()
	pattern, blank := regexp.MustCompile(NamePattern), regexp.MustCompile(BlankPattern)
	for r := range rune(0x10000) {
		if !utf8.ValidRune(r) {
			continue
		}
		for _, name := range []string{string(r), "a" + string(r) + "b"} {
			if _, err := ParseName(name); (pattern.MatchString(name) && !blank.MatchString(name)) != (err == nil) {
				t.Errorf("%q: the patterns match: %t; the parser says %v", name, err != nil, err)
			}
		}
	}
}
