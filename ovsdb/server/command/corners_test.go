package command

import (
	"os"
	"testing"
)

// TestCorners compares corners of the protocol.
func TestCorners(t *testing.T) {
	schema, err := os.ReadFile("testdata/corners.ovsschema")
	if err != nil {
		t.Fatal(err)
	}
	both(t, []string{string(schema), otherSchema}, nil, transcript(t, "corners.txt"))
}
