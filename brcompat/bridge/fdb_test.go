package bridge

import (
	"slices"
	"testing"
)

const fdbText1 = ` port  VLAN  MAC                Age
LOCAL     0  d6:83:1c:f0:ea:41    3
    1    10  aa:55:aa:55:00:02  299
    2     0  aa:55:aa:55:00:03  static
65534     0  aa:55:aa:55:00:04    0
`

func TestParseFDB(t *testing.T) {
	want := []learned{
		{0, 0, [6]byte{0xd6, 0x83, 0x1c, 0xf0, 0xea, 0x41}, 3},
		{1, 10, [6]byte{0xaa, 0x55, 0xaa, 0x55, 0, 2}, 299},
		{2, 0, [6]byte{0xaa, 0x55, 0xaa, 0x55, 0, 3}, 0},
		{0, 0, [6]byte{0xaa, 0x55, 0xaa, 0x55, 0, 4}, 0},
	}
	if got := parseFDB(fdbText1); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, bad := range []string{"", "\n", "x 0 aa:55:aa:55:00:02 1", "1 4096 aa:55:aa:55:00:02 1", "1 0 aa:55:aa:55:00 1",
		"1 0 aa:55:aa:55:00:02 x", "1 0 aa:55:aa:55:00:02", "-1 0 aa:55:aa:55:00:02 1", "1 0 02:00:5e:10:00:00:00:01 1"} {
		if got := parseFDB(bad); len(got) != 0 {
			t.Errorf("%q: %v", bad, got)
		}
	}
}

func FuzzParseFDB(f *testing.F) {
	f.Add(fdbText1)
	f.Add("LOCAL 0 00:00:00:00:00:00 999999999999")
	f.Fuzz(func(t *testing.T, text string) {
		for _, e := range parseFDB(text) {
			if e.vlan < 0 || e.vlan > 4095 || e.age < 0 || e.ofport < 0 {
				t.Fatalf("%+v", e)
			}
		}
	})
}

func FuzzParseID(f *testing.F) {
	f.Add("8000.0023209ef6f9")
	f.Add(".")
	f.Fuzz(func(t *testing.T, text string) { parseID(text) })
}
