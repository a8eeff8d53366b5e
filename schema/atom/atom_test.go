package atom

import (
	"slices"
	"testing"

	"govs/internal/json"
)

func TestUUID(t *testing.T) {
	for range 100 {
		u := New()
		if u[6]>>4 != 4 || u[8]>>6 != 2 {
			t.Errorf("%s is not of version 4", u)
		}
		v, ok := Parse(u.String())
		if !ok || v != u || ID(u).UUID() != u {
			t.Errorf("%s became %s", u, v)
		}
	}
	for _, s := range []string{"", "x", "00000000-0000-0000-0000-00000000000", "00000000-0000-0000-0000-0000000000000", "00000000_0000-0000-0000-000000000000",
		"00000000-0000-0000-0000-00000000000g", "0000000000000000000000000000000000000"} {
		if _, ok := Parse(s); ok {
			t.Errorf("%q was accepted", s)
		}
	}
	if testing.AllocsPerRun(10, func() { ParseBytes([]byte("01234567-89ab-cdef-0123-456789abcdef")) }) != 0 {
		t.Error("ParseBytes allocates")
	}
}

func TestOrder(t *testing.T) {
	for _, list := range [][]Atom{
		{Int(-1 << 63), Int(-1), Int(0), Int(1), Int(1<<63 - 1)},
		{Float(-1e300), Float(-0.5), Float(0), Float(0.25), Float(1e300)},
		{Bool(false), Bool(true)},
		{Str(""), Str("A"), Str("a"), Str("aa"), Str("é")},
		{ID(UUID{}), ID(UUID{15: 1}), ID(UUID{8: 1}), ID(UUID{7: 1}), ID(UUID{0: 0xff})},
	} {
		if !slices.IsSortedFunc(list, Atom.Compare) {
			t.Errorf("%v is not in order", list)
		}
		for i, a := range list {
			for j, b := range list {
				if (a == b) != (i == j) || (a.Compare(b) == 0) != (i == j) {
					t.Errorf("%v and %v", a, b)
				}
			}
			v, err := json.Parse(a.AppendJSON(nil))
			if err != nil {
				t.Fatal(err)
			}
			if b, err := ParseJSON(v, a.Type(), nil); err != nil || b != a {
				t.Errorf("%v became %v, %v", a, b, err)
			}
		}
		if !Default(list[0].Type()).IsDefault() {
			t.Error("a default that is none")
		}
	}
	if Float(0) != Float(-1/1e308/1e308) {
		t.Error("the two zeros differ")
	}
}

func TestText(t *testing.T) {
	for a, want := range map[Atom]string{
		Str("x-1.y"): "x-1.y", Str("1x"): `"1x"`, Str(""): `""`, Str("true"): `"true"`, Str("a b"): `"a b"`, Str("q\""): `"q\""`,
		Str("abcdef00-0000-0000-0000-000000000001"): `"abcdef00-0000-0000-0000-000000000001"`,
		ID(UUID{15: 1}): "00000000-0000-0000-0000-000000000001", Int(-5): "-5", Float(1.5): "1.5", Bool(true): "true",
	} {
		if got := a.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	for s, want := range map[string]bool{"a": true, "_1": true, "": false, "1": false, "a-b": false, "a b": false, "é": false} {
		if IsID(s) != want {
			t.Errorf("IsID(%q)", s)
		}
	}
}
