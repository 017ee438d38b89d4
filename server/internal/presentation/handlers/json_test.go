package handlers

import (
	"encoding/json"
	"strings"
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
	copy(body, `{"eman":"Eve"}`)
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

// FuzzMembers counts as encoding/json does, in whatever is JSON.
func FuzzMembers(f *testing.F) {
	for _, object := range []string{
		`{}`, `{"a":1}`, `{"a":1,"a":2}`, `{"a":{"b":1,"c":[{"d":2}]},"e":":"}`, `{"\"":1,"\\":2,"\\\"{":3}`, ` {"a" : "b:c{" , "d":[]} `,
	} {
		f.Add(object)
	}
	f.Fuzz(func(t *testing.T, object string) {
		var byName map[string]json.RawMessage
		if json.Unmarshal([]byte(object), &byName) != nil || byName == nil {
			return
		}
		decoder := json.NewDecoder(strings.NewReader(object))
		if _, err := decoder.Token(); err != nil {
			t.Fatal(err)
		}
		want := 0
		for ; decoder.More(); want++ {
			var value json.RawMessage
			if _, err := decoder.Token(); err != nil {
				t.Fatal(err)
			}
			if err := decoder.Decode(&value); err != nil {
				t.Fatal(err)
			}
		}
		if got := members([]byte(object)); got != want {
			t.Errorf("%s: got %d members, want %d", object, got, want)
		}
		if got := len(repeated([]byte(object))) > 0; got != (want != len(byName)) {
			t.Errorf("%s: repeated: %t, want %t", object, got, !got)
		}
	})
}
