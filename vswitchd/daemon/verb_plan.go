package daemon

import (
	"fmt"
	"strings"

	"govs/vswitchd/desired"
	"govs/vswitchd/model"
	"govs/vswitchd/plan"
)

// verbsPlan adds govs/plan: the steps of the last change, or those that would
// lead from what runs to the given contents of the database (model.Parse).
func (s *Switch) verbsPlan(r Registrar) {
	r.Register("govs/plan", "[ROWS]", 0, 1, s.reading(func(args []string) (string, error) {
		steps := s.steps
		var problems []desired.Problem
		if len(args) > 0 {
			rows, err := model.Parse([]byte(args[0]))
			if err != nil {
				return "", fmt.Errorf("rows: %w", err)
			}
			want := desired.From(rows, desired.Options{Dummy: s.o.Dummy, DisableSystem: s.o.DisableSystem})
			steps, problems = plan.Make(s.applier.Switch, want), want.Problems
		}
		var b strings.Builder
		for _, step := range steps {
			b.WriteString(step.String() + "\n")
		}
		for _, p := range problems {
			b.WriteString("warning: " + p.Text + "\n")
		}
		return b.String(), nil
	}))
}
