package bridge

import (
	"maps"
	"testing"
)

func TestParseTimers(t *testing.T) {
	got := parseTimers("bridge br0 hello 1.50 tcn 0.00 topology-change 34.99\nport v0 message-age 19.01 forward-delay 0.00 hold 0.07\n" +
		"port odd hold\nport bad hold x forward-delay -1 message-age 1e9\n\nnonsense\n")
	for _, c := range []struct {
		what      string
		got, want map[string]uint32
	}{
		{"bridge", got.bridge, map[string]uint32{"hello": 150, "tcn": 0, "topology-change": 3499}},
		{"v0", got.ports["v0"], map[string]uint32{"message-age": 1901, "forward-delay": 0, "hold": 7}},
		{"odd", got.ports["odd"], map[string]uint32{}},
		{"bad", got.ports["bad"], map[string]uint32{}},
	} {
		if !maps.Equal(c.got, c.want) {
			t.Errorf("%s: %v, want %v", c.what, c.got, c.want)
		}
	}
}

func FuzzParseTimers(f *testing.F) {
	f.Add("bridge br0 hello 1.50\nport v0 hold 0.07\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, left := range parseTimers(text).ports {
			for k, v := range left {
				if v > 1e8 {
					t.Fatalf("%s: %d", k, v)
				}
			}
		}
	})
}
