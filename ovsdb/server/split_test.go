package server

import (
	"testing"

	"govs/internal/json"
)

// FuzzSplit: an array's elements are found as the parser finds them, and what is
// cut out of other text does no harm.
func FuzzSplit(f *testing.F) {
	for _, in := range []string{`[]`, `[1,"a",{"b":[2]}]`, ` [ true , null ] `, `[["x",1],"00000000-0000-4000-8000-000000000001",{"T":{}}]`,
		`[1 2]`, `[1,]`, `[,1]`, `[`, `]`, `{}`, `["]"]`, `["\"",[["]"]]]`, `[1],2]`, `[-1e5,0]`} {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		parts, err := split(in)
		v, perr := json.Parse(in)
		if perr != nil || v.Kind() != json.Array {
			return // the session's scanner or the reader of the parts refuses it
		}
		if err != nil || len(parts) != v.Len() {
			t.Fatalf("%s: %d parts of %d, %v", in, len(parts), v.Len(), err)
		}
		for i, p := range parts {
			if string(p) != string(v.At(i).Raw()) {
				t.Fatalf("%s: part %d is %s", in, i, p)
			}
		}
	})
}
