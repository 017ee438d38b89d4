package entities

import (
	"regexp"
	"slices"
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
	// Ideographs, Hangul and private use are alike from one end to the other.
	blocks := [][2]rune{{0x3400, 0x4dbf}, {0x4e00, 0x9fff}, {0xac00, 0xd7a3}, {0xe000, 0xf8ff}}
	for r := range rune(0x10000) {
		alike := slices.ContainsFunc(blocks, func(b [2]rune) bool { return b[0]+16 < r && r < b[1]-16 })
		if !utf8.ValidRune(r) || alike && r%16 != 0 {
			continue
		}
		for _, name := range []string{string(r), "a" + string(r) + "b"} {
			if _, err := ParseName(name); (pattern.MatchString(name) && !blank.MatchString(name)) != (err == nil) {
				t.Errorf("%q: the patterns match: %t; the parser says %v", name, err != nil, err)
			}
		}
	}
}
