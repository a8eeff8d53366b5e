package daemon

import "strings"

// verbsOfproto adds ofproto/list.
func (s *Switch) verbsOfproto(r Registrar) {
	r.Register("ofproto/list", "", 0, 0, s.reading(func([]string) (string, error) {
		var b strings.Builder
		for _, br := range s.applier.Switch.Sorted() {
			b.WriteString(br.Want.Name + "\n")
		}
		return b.String(), nil
	}))
}
