package fault

import (
	"testing"

	"govs/internal/json"
)

// What C's ovsdb-client says of much more is compared in ctl/dbclient.
func TestOf(t *testing.T) {
	for text, want := range map[string]string{
		"[1]": "", `{"a":[]}`: "",
		"{":       "line 0, column 1, byte 1: unexpected end of input",
		"[\n[x]]": "line 1, column 2, byte 4: invalid keyword 'x'",
		"x":       "line 0, column 1, byte 1: invalid keyword 'x'",
	} {
		_, err := json.Parse([]byte(text))
		if got := Of(text, err); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// FuzzOf: a text has a fault where our parser finds one, and nothing panics.
func FuzzOf(f *testing.F) {
	for _, text := range []string{"[", "[1,]", `{"a":1]`, `["\q"]`, `["\ud800"]`, "[01]", "[1e400]", "[tru]", "{}{}", "\r\n[", "//x", `["\u12zz"]`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := json.Parse([]byte(text))
		what := Of(text, err)
		if what == "" && (err != nil || v.Len() < 0) {
			t.Errorf("%v, and no fault", err)
		}
	})
}
