package memory

import (
	"testing"

	"govs/ovsdb/storage"
	"govs/ovsdb/storage/storagetest"
)

func TestEngine(t *testing.T) {
	storagetest.Run(t, storagetest.Suite{
		Create: func(_ testing.TB, schema []byte) storage.Engine { return New(schema) },
	})
}
