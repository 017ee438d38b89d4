package entities

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Name is what a user is called: 1 to 100 characters, without space around
// them, that a screen can show without harm to what stands beside them.
type Name string

// MaxNameLength is in characters, not bytes.
const MaxNameLength = 100

// NamePattern matches what ParseName takes, but for names of which nothing can
// be seen: those are what BlankPattern matches. Both are for documents, in what
// the regular expressions of all languages have in common; tests compare them
// with the parser.
var NamePattern = fmt.Sprintf("^[%[1]s]*[^%[1]s%[2]s]([^%[2]s]{0,%[3]d}[^%[1]s%[2]s])?[%[1]s]*$", spaces, unnameable, MaxNameLength-2)

// BlankPattern matches names of which nothing can be seen.
const BlankPattern = "^[" + spaces + blank + "]*$"

const (
	// spaces are what strings.TrimSpace trims.
	spaces = "\\t-\\r \\x85\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
	// unnameable is what isUnnameable finds.
	unnameable = "\\x00-\\x1f\\x7f-\\x9f\u200b\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff"
	// blank is what isBlank finds.
	blank = "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200c-\u200f\u2800\u3164\ufe00-\ufe0f\uffa0"
)

// ParseName returns s as a Name, or an Error of kind Invalid.
func ParseName(s string) (Name, error) {
	s = strings.TrimSpace(s)
	switch {
	case s == "":
		return "", InvalidField("name", "must not be empty")
	case !utf8.ValidString(s) || strings.ContainsFunc(s, isUnnameable):
		return "", InvalidField("name", "must not contain control characters, nor others that are invisible, turn the direction of the text around or stand for a lost one")
	case !strings.ContainsFunc(s, isVisible):
		return "", InvalidField("name", "must have a character that can be seen")
	case utf8.RuneCountInString(s) > MaxNameLength:
		return "", InvalidField("name", "must be at most 100 characters long")
	}
	return Name(s), nil
}

// isUnnameable tells what no name needs, and what deceives its readers: two
// names that look the same, or a line that reads otherwise than it is written.
// Joiners (U+200C, U+200D) and marks of direction (U+200E, U+200F) are needed
// in Persian and Hebrew names and in emoji.
func isUnnameable(r rune) bool {
	switch {
	case r < 0x7f:
		return r < ' '
	case r < 0x200b:
		return r <= 0x9f // control characters
	}
	return r == '\u200b' || // a space without width
		r >= '\u2028' && r <= '\u202e' || // ends of lines and paragraphs; embeddings and overrides of direction
		r >= '\u2060' && r <= '\u206f' || // invisible operators, isolates of direction
		r == '\ufeff' || // byte order mark
		r >= '\ufff9' && r <= '\uffff' // annotations, lost characters (U+FFFD), no characters
}

// isVisible tells what is enough for a name to be seen.
func isVisible(r rune) bool { return r > ' ' && r < 0x7f || !unicode.IsSpace(r) && !isBlank(r) }

// isBlank tells what takes part in a name and shows nothing by itself.
func isBlank(r rune) bool {
	switch r {
	case '\u00ad', '\u034f', '\u061c', '\u115f', '\u1160', '\u17b4', '\u17b5', '\u2800', '\u3164', '\uffa0':
		return true
	}
	return r >= '\u180b' && r <= '\u180f' || r >= '\u200c' && r <= '\u200f' || r >= '\ufe00' && r <= '\ufe0f'
}
