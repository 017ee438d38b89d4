package routes

import "testing"

func TestPreference(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		headers []string
		want    string
	}{
		{nil, ""},
		{[]string{"handling=lenient"}, "lenient"},
		{[]string{"Handling = lenient"}, "lenient"},
		{[]string{`handling="lenient"`}, "lenient"},
		{[]string{"respond-async, wait=100, handling=lenient"}, "lenient"},
		{[]string{"respond-async", "handling=lenient;a=b; c"}, "lenient"},
		{[]string{"handling=strict, handling=lenient"}, "strict"}, // the first counts
		{[]string{"handling"}, ""},
		{[]string{`note="a, handling=lenient"`}, ""},
		{[]string{`note="\", handling=lenient", handling=strict`}, "strict"},
		{[]string{`note="handling=lenient`}, ""},
		{[]string{",;=,, ="}, ""},
	} {
		var headers [][]byte
		for _, h := range test.headers {
			headers = append(headers, []byte(h))
		}
		if got := preference(headers, "handling"); got != test.want {
			t.Errorf("%q: got %q, want %q", test.headers, got, test.want)
		}
	}
}
