package handlers

import (
	"testing"
	"time"

	"github.com/bytedance/sonic"
)

// TestSonicIsItself fails on a Go version that sonic does not know: it would
// then hand everything to encoding/json without a word.
func TestSonicIsItself(t *testing.T) {
	t.Parallel()
	if sonic.APIKind != sonic.UseSonicJSON {
		t.Errorf("sonic uses API %d, want its own, %d", sonic.APIKind, sonic.UseSonicJSON)
	}
	if err := Warm(); err != nil {
		t.Error(err)
	}
}

// TestStringsOutliveTheirBody overwrites a body, as fasthttp does with the next
// request's.
func TestStringsOutliveTheirBody(t *testing.T) {
	t.Parallel()
	body := []byte(`{"name":"Ada"}`)
	var fields map[string]string
	if err := JSON.Unmarshal(body, &fields); err != nil {
		t.Fatal(err)
	}
	copy(body, `{"eman":"XXX"}`)
	if fields["name"] != "Ada" {
		t.Errorf("got %v, want the name Ada", fields)
	}
}

func TestTimesSortAsText(t *testing.T) {
	t.Parallel()
	cet := time.FixedZone("CET", 3600)
	for in, want := range map[time.Time]string{
		time.Date(2026, 11, 21, 13, 0, 0, 0, cet):              "2026-11-21T12:00:00.000000Z",
		time.Date(2026, 11, 21, 12, 0, 0, 123456789, time.UTC): "2026-11-21T12:00:00.123456Z",
	} {
		if got := timeToJSON(in); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
