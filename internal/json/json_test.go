package json

import (
	"bytes"
	stdjson "encoding/json"
	"strings"
	"testing"
)

func TestValues(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`0`, `0`}, {`-0`, `0`}, {`-0.0`, `0`}, {`1.0`, `1`}, {`1e3`, `1000`}, {`1.5e1`, `15`}, {`0.00001e5`, `1`}, {`100e-2`, `1`},
		{`1.5`, `1.5`}, {`0.1`, `0.1`}, {`1e300`, `1e+300`}, {`9223372036854775807`, `9223372036854775807`},
		{`-9223372036854775808`, `-9223372036854775808`}, {`9223372036854775808`, `9.22337203685478e+18`},
		{`9223372036854775807.0`, `9223372036854775807`}, {`92233720368547758070e-1`, `9223372036854775807`}, {`123456789012345678901234567890`, `1.23456789012346e+29`},
		{`0.1234567890123456789`, `0.123456789012346`}, {`1e-7`, `1e-07`}, {`1234567.125`, `1234567.125`}, {`0.0001`, `0.0001`},
		{`"\u00e9\ud834\udd1e\/\n\u0001"`, "\"é𝄞/\\n\\u0001\""}, {`{"b":1,"a":[true,false,null,{}],"b":2}`, `{"a":[true,false,null,{}],"b":2}`},
		{" [ ] ", `[]`}, {"\t{ \"a\" : [ 1 , 2 ] }\r\n", `{"a":[1,2]}`},
	} {
		v, err := Parse([]byte(c.in))
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		if got := string(v.AppendSorted(nil)); got != c.want {
			t.Errorf("%s: got %s, want %s", c.in, got, c.want)
		}
	}
}

func TestFaults(t *testing.T) {
	for _, in := range []string{
		"", " ", "{", "[", "]", "[1", "[1,", "[1,]", "[,1]", "{1:2}", `{"a"}`, `{"a":}`, `{"a":1,}`, `{"a" 1}`, "tru", "nul", "x", "01", "-", "-a", "1.", "1.e3", "1e", "1e+",
		`"`, `"a`, `"\`, `"\x"`, `"\u12"`, `"\u0000"`, `"\ud800"`, `"\ud800\u0041"`, `"\udc00"`, "\"\x01\"", "\"\xff\"", "\"\xc3\"", "1 2", "[] x", "1e999", "\x00",
		strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1),
	} {
		if v, err := Parse([]byte(in)); err == nil {
			t.Errorf("%q was accepted: %s", in, v.Raw())
		}
	}
	deep := strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth)
	if _, err := Parse([]byte(deep)); err != nil {
		t.Error(err)
	}
}

func TestAccess(t *testing.T) {
	v, err := Parse([]byte(`{"a":[1,"x",[2,3],{"k":"v"}],"n":null,"a\u0062":true,"r":2.5}`))
	if err != nil {
		t.Fatal(err)
	}
	a := v.Get("a")
	if a.Len() != 4 || v.Len() != 4 || a.At(4).Kind() != Invalid || a.At(-1).Kind() != Invalid {
		t.Error("lengths")
	}
	if n, ok := a.At(0).Int(); !ok || n != 1 {
		t.Error("element 0")
	}
	if !a.At(1).Is("x") || a.At(1).Str() != "x" || a.At(2).Len() != 2 || !a.At(3).Get("k").Is("v") {
		t.Error("elements")
	}
	if b, ok := v.Get("ab").Bool(); !ok || !b {
		t.Error("an escaped name is not found")
	}
	if f, ok := v.Get("r").Float(); !ok || f != 2.5 {
		t.Error("real")
	}
	if v.Get("none").Kind() != Invalid || v.Get("n").Kind() != Null || v.Get("none").Get("x").Kind() != Invalid {
		t.Error("absent members")
	}
	if string(a.At(2).Raw()) != "[2,3]" {
		t.Errorf("raw text %s", a.At(2).Raw())
	}
	w, _ := Parse([]byte(`{"r":25e-1,"ab":true,"n":null,"a":[1.0,"\u0078",[2,3],{"k":"v"}]}`))
	if !v.Equal(w) || v.Equal(a) {
		t.Error("Equal")
	}
}

func TestManyMembers(t *testing.T) {
	var b []byte
	b = append(b, '{')
	for i := range 200 {
		b = AppendString(b, strings.Repeat("k", i%50))
		b = append(b, ':', byte('0'+i/50), ',')
	}
	b[len(b)-1] = '}'
	v, err := Parse(b)
	if err != nil || v.Len() != 50 {
		t.Fatal(v.Len(), err)
	}
	n := 0
	for _, val := range v.Members() {
		if i, _ := val.Int(); i != 3 {
			t.Error("not the last value")
		}
		n++
	}
	if n != 50 {
		t.Error(n, "members")
	}
}

func TestFramer(t *testing.T) {
	const text = `{"a":"}\"]"} [1,[2]]"x\\" {"b":{}}  true 12 [`
	want := []string{`{"a":"}\"]"}`, `[1,[2]]`, `"x\\"`, `{"b":{}}`, `true`, `12`}
	for step := 1; step < 9; step++ {
		var f Framer
		var got []string
		var cur []byte
		for at := 0; at < len(text); {
			n, done := f.Scan([]byte(text[at:min(at+step, len(text))]))
			cur = append(cur, text[at:at+n]...)
			at += n
			if done {
				got = append(got, strings.TrimSpace(string(cur)))
				cur = nil
			}
		}
		if strings.Join(got, "|") != strings.Join(want, "|") || f.Depth() != 1 || !f.Started() {
			t.Errorf("in steps of %d: %q, depth %d", step, got, f.Depth())
		}
	}
}

func TestReader(t *testing.T) {
	r := NewReader([]byte(` {"t" : {"1":{"a":[1]} , "2":null}, "u":{}, "v":{"3":4}} `))
	var got []string
	r.Enter()
	for {
		name, ok := r.Next()
		if !ok {
			break
		}
		r.Enter()
		for {
			key, ok := r.Next()
			if !ok {
				break
			}
			v, _ := r.Value()
			got = append(got, name+key+string(v.Raw()))
		}
	}
	if err := r.End(); err != nil || strings.Join(got, " ") != `t1{"a":[1]} t2null v34` {
		t.Error(got, err)
	}
	for _, in := range []string{"", "[", `{`, `{"a"`, `{"a":{`, `{"a":{"b"`, `{"a":{"b":}}`, `{"a":{"b":1},}`, `{"a":1}`, `{"a":{}}x`} {
		r := NewReader([]byte(in))
		r.Enter()
		for _, ok := r.Next(); ok; _, ok = r.Next() {
			r.Enter()
			for _, ok := r.Next(); ok; _, ok = r.Next() {
				r.Value()
			}
		}
		if r.End() == nil {
			t.Errorf("%q was accepted", in)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5,"x\u00e9"],"b":{"c":null}}`, `[true,false,-1e3]`, `"\ud834\udd1e"`, `{"a":1,"a":2}`, `[[[[]]]]`, `1e400`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		v, err := Parse(in)
		if err != nil {
			return
		}
		if !stdjson.Valid(in) {
			t.Fatalf("%q is not JSON, but was accepted", in)
		}
		once := v.AppendSorted(nil)
		w, err := Parse(once)
		if err != nil {
			t.Fatalf("%q: printed as %q: %v", in, once, err)
		}
		// 10000000000000000.1 is no whole number, so it is read as real and printed
		// as 1e+16, which is one: the C programs do the same.
		if twice := w.AppendSorted(nil); !bytes.Equal(once, twice) && !bytes.Contains(once, []byte("e+")) {
			t.Fatalf("%q: %q, then %q", in, once, twice)
		}
		var fr Framer
		if k := v.Kind(); k == Array || k == Object {
			if n, done := fr.Scan(in); !done || len(bytes.TrimSpace(in[n:])) != 0 {
				t.Fatalf("%q: the framer stops at %d, %v", in, n, done)
			}
		}
	})
}
