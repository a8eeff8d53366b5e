package dberr

import (
	"errors"
	"fmt"
	"testing"

	"govs/internal/json"
)

func value(t *testing.T, text string) json.Value {
	t.Helper()
	v, err := json.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestForms(t *testing.T) {
	for _, c := range []struct {
		err        *Error
		text, wire string
	}{
		{&Error{Tag: TimedOut}, `timed out`, `{"error":"timed out"}`},
		{New(RangeError, "%d is too much", 3), `range error: 3 is too much`, `{"details":"3 is too much","error":"range error"}`},
		{Syntax(value(t, `{"b":1,"a":"x"}`), "no"), `syntax "{"a":"x","b":1}": syntax error: no`,
			`{"details":"no","error":"syntax error","syntax":"{\"a\":\"x\",\"b\":1}"}`},
	} {
		if got := c.err.Error(); got != c.text {
			t.Errorf("text %s, want %s", got, c.text)
		}
		if got := string(c.err.AppendJSON(nil)); got != c.wire {
			t.Errorf("wire %s, want %s", got, c.wire)
		}
	}
}

func TestAs(t *testing.T) {
	e := New(NotOwner, "x")
	if As(fmt.Errorf("around: %w", e)) != e {
		t.Error("the error inside was not found")
	}
	if got := As(errors.New("boom")); got.Tag != InternalError || got.Details != "boom" {
		t.Error(got)
	}
}

// TestMembers: the first fault counts; the texts are those of the C server.
func TestMembers(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`{"a":1,"s":"x"}`, ``},
		{`{"a":1,"s":"x","o":true}`, ``},
		{`3`, `syntax error: Parsing thing failed: Object expected.`},
		{`{"s":"x"}`, `syntax "{"s":"x"}": syntax error: Parsing thing failed: Required 'a' member is missing.`},
		{`{"a":1.5,"s":"x"}`, `syntax "{"a":1.5,"s":"x"}": syntax error: Parsing thing failed: Type mismatch for member 'a'.`},
		{`{"a":1,"s":"4x"}`, `syntax "{"a":1,"s":"4x"}": syntax error: Parsing thing failed: Type mismatch for member 's'.`},
		{`{"a":1,"s":"x","z":0}`, `syntax "{"a":1,"s":"x","z":0}": syntax error: Parsing thing failed: Member 'z' is present but not allowed here.`},
		{`{"a":1,"s":"x","o":0}`, `syntax "{"a":1,"o":0,"s":"x"}": syntax error: Parsing thing failed: Type mismatch for member 'o'.`},
	} {
		m := NewMembers(value(t, c.in), "thing")
		a, s := m.Get("a", WantInteger), m.Get("s", WantID)
		m.Opt("o", WantBool)
		got := ""
		if err := m.Done(); err != nil {
			got = err.Error()
		} else if n, ok := a.Int(); !ok || n != 1 || s.Str() != "x" {
			t.Errorf("%s: %d, %s", c.in, n, s.Str())
		}
		if got != c.want {
			t.Errorf("%s\n got  %s\n want %s", c.in, got, c.want)
		}
	}
}
