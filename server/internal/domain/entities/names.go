package entities

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Name is what a user is called: 1 to 100 characters, without space around
// them, that a screen can show without harm to what stands beside them.
type Name string

// MaxNameLength is in characters, not bytes.
const MaxNameLength = 100

// NamePattern matches what ParseName takes, but for the length; it is for
// documents. A test compares the two.
const NamePattern = `^[\t-\r\u0085\u2028\u2029]*` +
	`[^` + unnameable + `]*[^` + unnameable + blank + `][^` + unnameable + `]*` +
	`[\t-\r\u0085\u2028\u2029]*$`

const (
	// unnameable is what isUnnameable finds.
	unnameable = `\u0000-\u001F\u007F-\u009F\u200B\u2028-\u202E\u2060-\u206F\uFEFF\uFFF9-\uFFFF`
	// blank is what isBlank finds, and the spaces.
	blank = ` \u00A0\u00AD\u034F\u061C\u115F\u1160\u1680\u17B4\u17B5\u180B-\u180F` +
		`\u2000-\u200A\u200C-\u200F\u202F\u205F\u2800\u3000\u3164\uFE00-\uFE0F\uFFA0`
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
