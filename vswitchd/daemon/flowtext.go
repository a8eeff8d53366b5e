package daemon

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"govs/datapath/action"
	"govs/datapath/engine"
	"govs/datapath/flow"
	"govs/vswitchd/ofproto"
)

// dumpFlows lists the megaflows, those of one bridge or all, and of those what
// the filter wants, if it is not nil, in the syntax of dpctl(8).
func (s *Switch) dumpFlows(opts map[string]bool, br *ofproto.Bridge, filter func(*engine.Flow) bool) (string, error) {
	names := s.portNames()
	more := opts["-m"] || opts["--more"]
	named := func(no flow.PortNo) string { return fmt.Sprint(no) }
	if opts["--names"] || (more && !opts["--no-names"]) {
		named = func(no flow.PortNo) string { return portName(names, no) }
	}
	mine := make(map[flow.PortNo]bool)
	if br != nil {
		for _, i := range br.Ifaces {
			mine[i.No] = true
		}
	}
	now := s.o.Clock.Now()
	var lines []string
	for f := range s.engine.Flows() {
		if br != nil && !mine[f.Key.InPort] || filter != nil && !filter(&f) {
			continue
		}
		lines = append(lines, flowLine(&f, now, named, more)+"\n")
	}
	slices.Sort(lines)
	return strings.Join(lines, ""), nil
}

// flowLine is one megaflow.
func flowLine(f *engine.Flow, now time.Time, named func(flow.PortNo) string, more bool) string {
	line := flow.Format(&f.Key, &f.Mask, flow.Style{Name: named, All: more})
	stats := f.Stats(now)
	if more {
		line = "ufid:" + f.UFID() + ", " + line
		if f.Front {
			stats += ", offloaded:yes, dp:ebpf"
		} else {
			stats += ", dp:ovs"
		}
	}
	return fmt.Sprintf("%s, %s, actions:%s", line, stats, action.Format(f.Actions, named))
}

// keyText is a whole key.
func keyText(k *flow.Key, named func(flow.PortNo) string) string {
	return flow.Format(k, &flow.Exact, flow.Style{Name: named})
}

// resolve is the number in the engine of the named port.
func (s *Switch) resolve(name string) (flow.PortNo, bool) {
	_, i := s.applier.Switch.Find(name)
	if i == nil || i.No == 0 {
		return 0, false
	}
	return i.No, true
}
