package entities

import (
	"strings"
	"testing"
	"time"
)

func TestParseIdempotencyKey(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		in string
		ok bool
	}{
		{"a", true},
		{`"8e03978e-40d5-43e8-bc93-6894a57f9324"`, true},
		{strings.Repeat("~", 255), true},
		{strings.Repeat("~", 256), false},
		{"", false},
		{"a b", false},
		{"a\tb", false},
		{"a\x7f", false},
		{"ä", false},
	} {
		got, err := ParseIdempotencyKey(test.in)
		if (err == nil) != test.ok || test.ok && string(got) != test.in {
			t.Errorf("%q: got %q, %v; want it taken: %t", test.in, got, err, test.ok)
		}
	}
}

func TestOnceTellsRequestsApart(t *testing.T) {
	t.Parallel()
	base := NewOnce("k", "Ada", "ada@example.com", time.Hour)
	if again := NewOnce("k", "Ada", "ada@example.com", time.Hour); again != base {
		t.Error("the same request under the same key differs from itself")
	}
	for _, other := range []Once{
		NewOnce("k", "Ada", "Ada@example.com", time.Hour),
		NewOnce("k", "Adaa", "da@example.com", time.Hour),
	} {
		if other.Key != base.Key || other.Request == base.Request {
			t.Errorf("%v does not differ from %v by its request alone", other, base)
		}
	}
	if other := NewOnce("K", "Ada", "ada@example.com", time.Hour); other.Key == base.Key || other.Request != base.Request {
		t.Errorf("%v does not differ from %v by its key alone", other, base)
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		versions Versions
		want     bool
	}{{nil, true}, {Versions{}, false}, {Versions{2}, false}, {Versions{2, 3}, true}} {
		if got := test.versions.Accept(3); got != test.want {
			t.Errorf("%v accepts 3: %t, want %t", test.versions, got, test.want)
		}
	}
}
