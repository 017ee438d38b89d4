package entities

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
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
	} {
		got, err := ParseEmail(test.in)
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

func TestCreatedAt(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"01939f2e-7c1a-7000-8f0e-3f5b6c7d8e9f": "2024-12-07T03:34:04.058Z",
		"01939f2e-7c1a-7001-8f0e-3f5b6c7d8e9f": "2024-12-07T03:34:04.058Z",
		"01939f2e-7c1a-7bd2-8f0e-3f5b6c7d8e9f": "2024-12-07T03:34:04.058774Z",
		"01939f2e-7c1a-7f42-ffff-ffffffffffff": "2024-12-07T03:34:04.058999Z", // the last tick of the millisecond
		"01939f2e-7c1a-7fff-8f0e-3f5b6c7d8e9f": "2024-12-07T03:34:04.058999Z", // counted past it
		"01939f2e-7c1b-7000-0000-000000000000": "2024-12-07T03:34:04.059Z",
	} {
		if got := CreatedAt(uuid.MustParse(id)).Format(time.RFC3339Nano); got != want {
			t.Errorf("%s: got %s, want %s", id, got, want)
		}
	}
}

// TestCreatedAtIsTheOrderOfIDs draws ids faster than their clock ticks.
func TestCreatedAtIsTheOrderOfIDs(t *testing.T) {
	t.Parallel()
	start := time.Now()
	var last uuid.UUID
	for range 200_000 {
		id := uuid.Must(uuid.NewV7())
		if string(id[:]) <= string(last[:]) || CreatedAt(id).Before(CreatedAt(last)) {
			t.Fatalf("%s of %s was drawn after %s of %s", id, CreatedAt(id), last, CreatedAt(last))
		}
		last = id
	}
	const tick = time.Millisecond // what the clock may be behind or ahead by
	if got := CreatedAt(last); got.Before(start.Add(-tick)) || got.After(time.Now().Add(time.Second)) {
		t.Errorf("an id of now says %s", got)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	if err := JoinInvalid(nil, nil); err != nil {
		t.Errorf("joining nothing gives %v, want nil", err)
	}
	err := JoinInvalid(InvalidField("name", "must not be empty"), nil, InvalidField("email", "is required"))
	if got, want := err.Error(), "invalid input: name must not be empty: email is required"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	cause := errors.New("refused")
	wrapped := &Error{Kind: Unavailable, Message: "shard-1 does not answer", Err: cause}
	if !errors.Is(wrapped, cause) || KindOf(errors.Join(wrapped)) != Unavailable || KindOf(cause) != Internal {
		t.Error("an Error does not keep its cause or its kind")
	}
}
