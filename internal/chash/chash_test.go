package chash

import (
	"slices"
	"strings"
	"testing"
)

// TestNames: names come as the C program walks them.
func TestNames(t *testing.T) {
	h := Names()
	for _, n := range []string{"_uuid", "_version", "self", "gone", "wk", "bn"} {
		h.Add(n)
	}
	c := h.Clone()
	c.Delete("gone")
	c.Delete("never")
	if got := strings.Join(slices.Collect(c.All()), " "); !strings.Contains(got, "_uuid") || strings.Contains(got, "gone") {
		t.Error(got)
	}
	if !slices.Contains(slices.Collect(h.All()), "gone") {
		t.Error("the copy is not one")
	}
	h = Names()
	for _, n := range []string{"_uuid", "_version", "self", "wk", "bn"} {
		h.Add(n)
	}
	if got := strings.Join(slices.Collect(h.All()), " "); got != "_version self _uuid wk bn" {
		t.Error(got)
	}
	for range h.All() {
		break
	}
}
