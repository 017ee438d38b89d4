package entities

import (
	"net/mail"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

var emailPattern = regexp.MustCompile(EmailPattern)

func TestParseEmail(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 60) + "@" + strings.Repeat(strings.Repeat("b", 47)+".", 4)
	for _, test := range []struct {
		in string
		ok bool
	}{
		{"ada@example.com", true},
		{" Ada.Lovelace+tag@Example.COM ", true},
		{"ada@localhost", true},
		{"o'hara@example.com", true},
		{"ada@xn--bcher-kva.example", true},
		{long + "c", true},   // 254
		{long + "cc", false}, // 255
		{"", false},
		{"ada", false},
		{"ada@", false},
		{"@example.com", false},
		{"ada@@example.com", false},
		{"ada@example.com, grace@example.com", false},
		{"Ada <ada@example.com>", false},
		{"<ada@example.com>", false},
		{"ada@example.com (comment)", false},
		{"ada lovelace@example.com", false},
		{"ada@exa\x00mple.com", false},
		{"ada@example.com\nBcc: x@example.com", false},
		{"ädä@example.com", false},
		{"ada@bücher.example", false},
		{"\u212Aelvin@example.com", false}, // the Kelvin sign, whose lower case is k
		{"a\xff@example.com", false},
		{strings.Repeat("a", 64) + "@example.com", true},
		{strings.Repeat("a", 65) + "@example.com", false},
		{"ada@" + strings.Repeat("b", 63) + ".example", true},
		{"ada@" + strings.Repeat("b", 64) + ".example", false},
		{"ada..lovelace@example.com", false},
		{".ada@example.com", false},
		{"ada.@example.com", false},
		{"ada@example..com", false},
		{"ada@example.com.", false},
		{"ada@-example.com", false},
		{"ada@example-.com", false},
		{"ada@exa_mple.com", false},
		{"ada@exa!mple.com", false},
		{"ada@[127.0.0.1]", false},
		{`"ada lovelace"@example.com`, false},
	} {
		got, err := ParseEmail(test.in)
		if local, _, _ := strings.Cut(test.in, "@"); len(local) <= 64 && len(test.in) <= MaxEmailLength && emailPattern.MatchString(strings.TrimSpace(test.in)) != test.ok {
			t.Errorf("%q: the pattern matches: %t, want %t", test.in, !test.ok, test.ok)
		}
		if (err == nil) != test.ok || err == nil && string(got) != strings.TrimSpace(test.in) {
			t.Errorf("ParseEmail(%q) = %q, %v; want ok %t", test.in, got, err, test.ok)
		}
	}
}

func FuzzParseEmail(f *testing.F) {
	f.Add("Ada@Example.com")
	f.Add(`"a b"@x.org`)
	f.Fuzz(func(t *testing.T, s string) {
		email, err := ParseEmail(s)
		if err != nil {
			if KindOf(err) != Invalid {
				t.Errorf("ParseEmail(%q) fails with %v, want kind Invalid", s, err)
			}
			return
		}
		if !emailPattern.MatchString(string(email)) {
			t.Errorf("ParseEmail(%q) = %q, which the pattern does not match", s, email)
		}
		if addr, err := mail.ParseAddress(string(email)); err != nil || addr.Address != string(email) {
			t.Errorf("ParseEmail(%q) = %q, which is no address for net/mail: %v", s, email, err)
		}
		again, err := ParseEmail(string(email))
		if err != nil || again != email {
			t.Errorf("ParseEmail(%q) = %q, which parses as %q, %v", s, email, again, err)
		}
		if !utf8.ValidString(string(email)) || len(email) > MaxEmailLength || strings.ContainsRune(string(email), 0) {
			t.Errorf("ParseEmail(%q) = %q, which the database refuses", s, email)
		}
	})
}

func TestEmailKey(t *testing.T) {
	t.Parallel()
	if got, want := Email("Ada@Example.COM").Key(), "ada@example.com"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
