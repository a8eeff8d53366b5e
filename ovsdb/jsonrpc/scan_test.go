package jsonrpc

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

var seeds = []string{
	`{"id":1,"method":"echo","params":[]}`,
	`{"id":null,"method":"update","params":[null,{}]}`,
	`{"id":"x","result":[1,-2.5e+3,true,false,null,"a\u00e9\ud834\udd1e\"\\"],"error":null}`,
	`{"id":{"a":[[]]},"error":"unknown method"}`,
	" \n{\t\"id\" : 0 , \"method\":\"m\",\"params\":[ ] }",
	`{"a":{"b":{"c":[{"d":[]}]}}}`,
	`{}`, `[1]`, `garbage`, `{"a":01}`, `{"a":-}`, `{"a":1.}`, `{"a":1e}`, `{"a":tru}`, `{"a" 1}`, `{"a":1,}`, `{"a":[1,]}`,
	`{"a":"\x"}`, `{"a":"\u12g4"}`, "{\"a\":\"\x01\"}", `{"a":1]`, `{"a":[1}`, `{"id":1,"method":"x","params":[1,2`,
	`{"\u0069d":1,"method":"m","params":[]}`,
}

// FuzzScanner holds the scanner against encoding/json, whole and byte by byte.
func FuzzScanner(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		whole := Scanner{MaxDepth: 100}
		n, err := whole.Scan(in)

		bits := Scanner{MaxDepth: 100}
		var n2 int
		var err2 error
		for i := 1; i <= len(in) && n2 == 0 && err2 == nil; i++ {
			n2, err2 = bits.Scan(in[:i])
		}
		if n != n2 || (err == nil) != (err2 == nil) || err != nil && err.Error() != err2.Error() {
			t.Fatalf("whole: %d, %v; in pieces: %d, %v", n, err, n2, err2)
		}
		var v any
		var raw json.RawMessage
		dec := json.NewDecoder(bytes.NewReader(in))
		jerr := dec.Decode(&raw)
		switch {
		case n > 0:
			if jerr != nil || int64(n) != dec.InputOffset() {
				t.Fatalf("scanned %d bytes, encoding/json %d: %v", n, dec.InputOffset(), jerr)
			}
			if m, err := parse(in[:n], whole.members); err == nil && m.Params != nil && !json.Valid(m.Params) {
				t.Fatalf("params %q", m.Params)
			}
		case err == nil: // more is needed
			if jerr == nil && len(bytes.TrimSpace(raw)) > 0 && raw[0] == '{' {
				t.Fatalf("encoding/json found a whole message in %q", in)
			}
		default:
			if jerr == nil && len(raw) > 0 && raw[0] == '{' && utf8.Valid(in) && !special(raw) && json.Unmarshal(raw, &v) == nil && !deep(raw, 100) {
				t.Fatalf("%v, but encoding/json takes %q", err, raw)
			}
		}
	})
}

func deep(raw []byte, limit int) bool {
	return bytes.Count(raw, []byte{'['})+bytes.Count(raw, []byte{'{'}) > limit
}

// special reports whether there may be escapes that encoding/json takes: of the
// null byte, and of half a surrogate pair.
func special(raw []byte) bool {
	low := bytes.ToLower(raw)
	return bytes.Contains(low, []byte(`\u0000`)) || bytes.Contains(low, []byte(`\ud`))
}

func TestSyntaxErrors(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`garbage`, `error parsing stream: line 0, column 0, byte 0: syntax error at beginning of input`},
		{`[1]`, `received bad JSON-RPC message: message is not a JSON object`},
		{"{\n \"a\": x}", `error parsing stream: line 1, column 6, byte 8: syntax error expecting value`},
		{`{"a":"\ud83d"}`, `error parsing stream: line 0, column 12, byte 12: malformed escaped surrogate pair`},
		{`{"a":"\ud83d\n"}`, `error parsing stream: line 0, column 13, byte 13: malformed escaped surrogate pair`},
		{`{"a":"\ud83d\u0041"}`, `error parsing stream: line 0, column 17, byte 17: second half of escaped surrogate pair is not trailing surrogate`},
		{`{"a":"\u0000"}`, `error parsing stream: line 0, column 11, byte 11: null bytes not supported in quoted strings`},
		{`{"a":` + strings.Repeat("[", 10), `error parsing stream: line 0, column 13, byte 13: input exceeds maximum nesting depth 9`},
	} {
		s := Scanner{MaxDepth: 9}
		_, err := s.Scan([]byte(c.in))
		if err == nil || err.Error() != c.want {
			t.Errorf("%q: %v, want %s", c.in, err, c.want)
		}
	}
}

func TestParse(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`{"id":1,"method":1,"params":[]}`, `method is not a JSON string`},
		{`{"id":1}`, `request must have "method"`},
		{`{"id":1,"method":"x"}`, `request must have "params"`},
		{`{"id":null,"method":"x"}`, `notification must have "params"`},
		{`{"id":1,"method":"x","params":{}}`, `"params" must be JSON array`},
		{`{"id":1,"foo":1}`, `unexpected member "foo"`},
		{`{"id":1,"result":1,"error":"x"}`, `reply must not have "error"`},
		{`{"result":1,"error":null}`, `reply must have "id"`},
	} {
		s := Scanner{MaxDepth: 9}
		n, err := s.Scan([]byte(c.in))
		if err != nil || n != len(c.in) {
			t.Fatalf("%s: %d, %v", c.in, n, err)
		}
		_, err = parse([]byte(c.in), s.members)
		if err == nil || err.Error() != "received bad JSON-RPC message: "+c.want {
			t.Errorf("%s: %v, want %s", c.in, err, c.want)
		}
	}
}

// TestEscapes: what is not a message's end may look like one.
func TestEscapes(t *testing.T) {
	for _, in := range []string{`{"a":"\ud83d\uDE00\""}`, `{"\uD83D\ude00":"\\"}`, `{"a":"\ude00\u00e9\/"}`} {
		s := Scanner{MaxDepth: 9}
		for i := range len(in) { // piece by piece
			if n, err := s.Scan([]byte(in[:i])); n != 0 || err != nil {
				t.Fatalf("%s: %d, %v", in[:i], n, err)
			}
		}
		if n, err := s.Scan([]byte(in)); err != nil || n != len(in) {
			t.Errorf("%s: %d, %v", in, n, err)
		}
	}
}

func BenchmarkScanner(b *testing.B) {
	msg := []byte(`{"id":1,"method":"transact","params":["Open_vSwitch",{"op":"insert","table":"Bridge","row":{"name":"br0","external_ids":["map",[["some-key","some longer value"]]]}}]}`)
	s := Scanner{MaxDepth: MaxDepth}
	b.SetBytes(int64(len(msg)))
	b.ReportAllocs()
	for b.Loop() {
		s.Reset()
		if n, err := s.Scan(msg); err != nil || n != len(msg) {
			b.Fatal(n, err)
		}
	}
}
