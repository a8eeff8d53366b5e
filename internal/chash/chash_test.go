package chash

import (
	"slices"
	"strings"
	"testing"
)

// TestNumbers has 255 numbers begin as the C switch shows so many remote points
// of CFM, which come after another one, and that one goes.
func TestNumbers(t *testing.T) {
	h := Numbers()
	h.Add(9)
	for n := range uint64(255) {
		h.Add(100 + n)
	}
	h.Delete(9)
	want := []uint64{130, 110, 175, 274, 149, 239, 137, 264, 208, 174, 305, 117}
	if got := slices.Collect(h.All()); len(got) != 255 || !slices.Equal(got[:len(want)], want) {
		t.Errorf("%d, want %d first", got, want)
	}
}

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
