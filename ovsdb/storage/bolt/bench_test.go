package bolt

import (
	"path/filepath"
	"testing"

	"govs/ovsdb/storage"
)

// BenchmarkAppend is one record a group: what a single client that waits for
// each answer gets.
func BenchmarkAppend(b *testing.B) {
	for _, durable := range []bool{false, true} {
		name := "acknowledged"
		if durable {
			name = "durable"
		}
		b.Run(name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "x.db")
			if err := Create(path, []byte(`{"name":"x"}`)); err != nil {
				b.Fatal(err)
			}
			e, err := Open(path)
			if err != nil {
				b.Fatal(err)
			}
			defer e.Close()
			body := make([]byte, 400)
			for b.Loop() {
				if _, err := e.Append([]storage.Record{{Body: body}}, durable); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
