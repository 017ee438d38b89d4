package entities

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Email is an address as its user writes it: an addr-spec of RFC 5321 in ASCII,
// without quotes, comments or space around it, at a host that has a name.
//
// ASCII is a decision: two addresses are the same user's when they differ only
// in case, and only for ASCII do the databases' lower(), whatever their locale,
// and Key agree on what that means. International domains have an xn-- form.
type Email string

const (
	// MaxEmailLength is the longest address that fits SMTP's path (RFC 3696, erratum 1690).
	MaxEmailLength = 254

	maxLocalLength = 64 // RFC 5321, 4.5.3.1.1
	maxLabelLength = 63 // RFC 1035, 2.3.4
)

// EmailPattern matches what ParseEmail takes, but for the lengths of the whole
// and of what stands before the @, of which LongLocalPattern matches what is too
// long. Both are for documents; tests compare them with the parser.
const EmailPattern = "^[" + spaces + "]*[A-Za-z0-9" + alsoInLocal + "]+([.][A-Za-z0-9" + alsoInLocal + "]+)*" +
	"@[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?([.][A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*[" + spaces + "]*$"

// LongLocalPattern matches addresses that have too much before the @.
var LongLocalPattern = fmt.Sprintf("[A-Za-z0-9.%s]{%d,}@", alsoInLocal, maxLocalLength+1)

// alsoInLocal may stand before the @, beside letters and digits (RFC 5322, atext).
const alsoInLocal = "!#$%&'*+/=?^_`{|}~-"

// ParseEmail returns s as an Email, or an Error of kind Invalid.
func ParseEmail(s string) (Email, error) {
	length := utf8.RuneCountInString(s) // with the space around it, so that a document can tell the limit without regard to that
	s = strings.TrimSpace(s)
	local, domain, _ := strings.Cut(s, "@")
	switch {
	case s == "":
		return "", InvalidField("email", "must not be empty")
	case length > MaxEmailLength:
		return "", InvalidField("email", "must be at most 254 characters long")
	case strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII }):
		return "", InvalidField("email", "must be ASCII; write an international domain in its xn-- form")
	case !isLocal(local) || !isDomain(domain):
		return "", InvalidField("email", "must be an e-mail address such as ada@example.com")
	}
	return Email(s), nil
}

// isLocal tells whether s can stand before the @: words with dots between them.
func isLocal(s string) bool {
	if len(s) > maxLocalLength {
		return false
	}
	for word := range strings.SplitSeq(s, ".") {
		if word == "" || strings.ContainsFunc(word, func(r rune) bool { return !isAlphanumeric(r) && !strings.ContainsRune(alsoInLocal, r) }) {
			return false
		}
	}
	return true
}

// isDomain tells whether s can be a host's name: labels with dots between them.
func isDomain(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > maxLabelLength || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.ContainsFunc(label, func(r rune) bool { return !isAlphanumeric(r) && r != '-' }) {
			return false
		}
	}
	return true
}

func isAlphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// Key is the same for all spellings of one address.
func (e Email) Key() string { return strings.ToLower(string(e)) }
