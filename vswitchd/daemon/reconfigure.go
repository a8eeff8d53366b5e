package daemon

import (
	"context"

	"govs/datapath/port"
	"govs/vswitchd/desired"
	"govs/vswitchd/plan"
)

// reconfigure makes what runs equal to what the database says, and tells it.
func (s *Switch) reconfigure(ctx context.Context) {
	rows, err := s.db.Snapshot()
	if err != nil {
		return // the session is over; Run hears of it
	}
	if rows == s.done {
		return
	}
	want := desired.From(rows, desired.Options{Dummy: s.o.Dummy, DisableSystem: s.o.DisableSystem})
	s.mu.Lock()
	s.problems(want)
	s.want = want
	s.engine.SetFlowLimit(want.FlowLimit)
	s.engine.SetMaxIdle(want.MaxIdle)
	s.engine.SetVLANLimit(want.VLANLimit)
	s.setOffload(want.Offload)
	s.apply()
	s.mu.Unlock()

	if s.report(ctx) {
		s.done = rows
	}
	if !s.ready && s.db.Err() == nil {
		s.ready = true
		if s.o.Ready != nil {
			s.o.Ready()
		}
	}
}

// problems logs what is wrong with the configuration and was not before.
func (s *Switch) problems(want *desired.State) {
	before := make(map[desired.Problem]bool, len(s.want.Problems))
	for _, p := range s.want.Problems {
		before[p] = true
	}
	for _, p := range want.Problems {
		if !before[p] {
			s.log.Warn(p.Text)
		}
	}
}

// start lets ports give frames that waited for the switch to know them.
func (s *Switch) start() {
	for _, b := range s.applier.Switch.Bridges {
		for _, i := range b.Ifaces {
			if p, ok := i.Port.(port.Starter); ok {
				p.Start()
			}
		}
	}
}

// apply plans and carries out what leads to s.want. The caller holds s.mu.
func (s *Switch) apply() {
	defer s.settleOffload()
	steps := plan.Make(s.applier.Switch, s.want)
	if !s.applier.Apply(steps, s.want) {
		return
	}
	s.steps = steps
	s.services.configure(s.o.Clock.Now())
	s.tunnels.Store(len(s.applier.Tunnels) > 0)
	if len(s.applier.Tunnels) > 0 {
		s.loadRoutes()
	}
	s.publish()
	s.start()
	s.flows.prune()
	s.nudge()
}
