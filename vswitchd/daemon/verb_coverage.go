package daemon

import "fmt"

// verbsCoverage adds coverage/show and coverage/read-counter.
func (s *Switch) verbsCoverage(r Registrar) {
	r.Register("coverage/show", "", 0, 0, s.reading(func([]string) (string, error) {
		return s.cover.Show(s.o.Clock.Now(), s.counters()), nil
	}))
	r.Register("coverage/read-counter", "COUNTER", 1, 1, s.reading(func(args []string) (string, error) {
		n, ok := s.counters()[args[0]]
		if !ok {
			return "", answer("No such counter")
		}
		return fmt.Sprint(n), nil
	}))
}
