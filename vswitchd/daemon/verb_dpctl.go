package daemon

import (
	"fmt"
	"slices"
	"strings"

	"govs/datapath/engine"
	"govs/datapath/flow"
	"govs/datapath/port"
	"govs/datapath/port/dummy"
	"govs/vswitchd/apply"
	"govs/vswitchd/desired"
	"govs/vswitchd/ofproto"
)

// verbsDpctl adds dpctl/show, dpctl/dump-dps, dpctl/dump-flows,
// dpctl/offload-stats-show and dpctl/cache-get-size.
func (s *Switch) verbsDpctl(r Registrar) {
	r.Register("dpctl/dump-dps", "", 0, 0, s.reading(func([]string) (string, error) {
		return strings.Join(s.datapaths(), "\n"), nil
	}))
	r.Register("dpctl/show", "[-s] [dp...]", 0, -1, s.reading(s.dpctlShow))
	r.Register("dpctl/offload-stats-show", "[dp]", 0, 1, s.reading(s.offloadStats))
	r.Register("dpctl/cache-get-size", "[dp]", 0, 1, s.reading(func(args []string) (string, error) {
		// No cache has a size that could be set.
		dps, err := s.datapathArgs(args)
		if err != nil {
			return "", complain("Opening datapath %s failed (No such device)", args[0])
		}
		var b strings.Builder
		for _, dp := range dps {
			b.WriteString(dp + ":\n")
		}
		return b.String(), nil
	}))
	r.Register("dpctl/dump-flows", "[-m] [--names] [dp] [filter=..] [type=..] [pmd=..]", 0, 6, s.reading(s.dpctlDump))
}

// complain is an error as the dpctl verbs word it.
func complain(format string, args ...any) error {
	return answer("ovs-vswitchd: " + fmt.Sprintf(format, args...))
}

// dpctlFlags takes the options off, in dpctl's words where one is not known.
func dpctlFlags(args []string, known ...string) (set map[string]bool, rest []string, err error) {
	if set, rest, err = takeFlags(args, known...); err != nil {
		err = answer(strings.Replace(err.Error(), "unknown option", "Unrecognized option", 1))
	}
	return set, rest, err
}

// offloadStats is how many megaflows the flow cache in the kernel carries on
// with.
func (s *Switch) offloadStats(args []string) (string, error) {
	dps, err := s.datapathArgs(args)
	if err != nil || len(dps) == 0 {
		return "", complain("datapath not found (Invalid argument)")
	}
	n := 0
	for f := range s.engine.Flows() {
		if f.Front {
			n++
		}
	}
	return fmt.Sprintf("HW Offload stats:\n   Total  Enqueued offloads: %7d\n   Total  Inserted offloads: %7d\n", 0, n), nil
}

// flowTypes are what type= of dpctl/dump-flows may name, and whether our
// megaflows are of that type.
var flowTypes = map[string]bool{
	"all": true, "ovs": true, "non-offloaded": true, "tc": false, "dpdk": false, "offloaded": false, "partially-offloaded": false,
}

func (s *Switch) dpctlDump(args []string) (string, error) {
	opts, rest, err := dpctlFlags(args, "-m", "--more", "--names", "--no-names")
	if err != nil {
		return "", err
	}
	var names []string
	head, want := "flow-dump from the main thread:\n", func(*engine.Flow) bool { return true }
	for _, arg := range rest {
		key, value, _ := strings.Cut(arg, "=")
		switch key {
		case "filter":
			k, m, err := flow.ParseMatch(value, s.resolve)
			if err != nil {
				return "", complain("Failed to parse filter (%s: %v)", value, err)
			}
			want = func(f *engine.Flow) bool { return overlaps(&f.Key, &f.Mask, &k, &m) }
		case "type":
			ours := false
			for _, t := range strings.Split(value, ",") {
				is, known := flowTypes[t]
				if !known {
					return "", complain("Failed to parse type (%s) (Invalid argument)", value)
				}
				ours = ours || is
			}
			if !ours {
				return "", nil
			}
		case "pmd":
			if value != "-1" {
				return "", nil // there are no polling threads
			}
			head = ""
		default:
			names = append(names, arg)
		}
	}
	if len(names) > 0 {
		if _, err := s.datapathArgs(names); err != nil {
			return "", complain("datapath not found (Invalid argument)")
		}
	}
	text, err := s.dumpFlows(opts, nil, want)
	if text != "" {
		text = head + text
	}
	return text, err
}

// overlaps says whether packets with the key k under the mask m may have the
// key other under its mask: they agree in all bits that matter in both.
func overlaps(k *flow.Key, m *flow.Mask, other *flow.Key, mask *flow.Mask) bool {
	a, b, x, y := k.Words(), other.Words(), m.Words(), mask.Words()
	for i := range a {
		if (a[i]^b[i])&x[i]&y[i] != 0 {
			return false
		}
	}
	return true
}

// datapathArgs are the named datapaths, or all. "TYPE@NAME" and "NAME" do.
func (s *Switch) datapathArgs(names []string) ([]string, error) {
	all := s.datapaths()
	if len(names) == 0 {
		return all, nil
	}
	var picked []string
	for _, name := range names {
		at := slices.IndexFunc(all, func(dp string) bool { return dp == name || strings.HasSuffix(dp, "@"+name) })
		if at < 0 {
			return picked, complain("opening datapath %s failed (Address family not supported by protocol)", name)
		}
		picked = append(picked, all[at])
	}
	return picked, nil
}

func (s *Switch) dpctlShow(args []string) (string, error) {
	opts, rest, err := dpctlFlags(args, "-s", "--statistics")
	if err != nil {
		return "", err
	}
	dps, missing := s.datapathArgs(rest)
	var b strings.Builder
	st := s.engine.Status()
	for _, dp := range dps {
		fmt.Fprintf(&b, "%s:\n", dp)
		fmt.Fprintf(&b, "  lookups: hit:%d missed:%d lost:%d\n", st.Front+st.Cached+st.Matched, st.Missed, st.Lost)
		fmt.Fprintf(&b, "  flows: %d\n", st.Flows)
		if strings.HasPrefix(dp, "dummy@") {
			// The datapath's own port is a dummy that belongs to no bridge.
			fmt.Fprintf(&b, "  port 0: %s (dummy-internal)\n", strings.TrimPrefix(dp, "dummy@"))
			if len(opts) > 0 {
				dpctlStats(&b, port.Stats{Basic: true})
			}
		}
		for _, p := range s.portsOf(dp) {
			if p.shared != nil {
				fmt.Fprintf(&b, "  port %d: %s (%s)\n", p.shared.No, p.shared.Name, sharedText(p.shared))
				if len(opts) > 0 {
					dpctlStats(&b, port.Stats{Basic: true})
				}
				continue
			}
			fmt.Fprintf(&b, "  port %d: %s", p.iface.No, p.iface.Want.Name)
			about := deviceType(p.bridge, p.iface)
			if p.iface.Want.Kind == desired.DummyNIC {
				if text := dummy.Parse(p.iface.Want.Options).Text(p.iface.Want.Options); text != "" {
					about += ": " + text
				}
			}
			if about != "system" {
				fmt.Fprintf(&b, " (%s)", about)
			}
			b.WriteString("\n")
			if len(opts) > 0 {
				stats, _ := s.engine.PortStats(p.iface.No)
				dpctlStats(&b, stats)
			}
		}
	}
	if missing != nil {
		return "", answer(b.String() + missing.Error())
	}
	return b.String(), nil
}

func dpctlStats(b *strings.Builder, s port.Stats) {
	n := func(v uint64) string {
		if v == 0 && s.Basic {
			return "?" // not counted
		}
		return fmt.Sprint(v)
	}
	fmt.Fprintf(b, "    RX packets:%d errors:%s dropped:%s overruns:%s frame:%s\n",
		s.RxPackets, n(s.RxErrors), n(s.RxDropped), n(s.RxOverErr), n(s.RxFrameErr))
	fmt.Fprintf(b, "    TX packets:%d errors:%s dropped:%s aborted:? carrier:?\n", s.TxPackets, n(s.TxErrors), n(s.TxDropped))
	fmt.Fprintf(b, "    collisions:%s\n", n(s.Collisions))
	fmt.Fprintf(b, "    RX bytes:%d%s  TX bytes:%d%s\n", s.RxBytes, scaled(s.RxBytes), s.TxBytes, scaled(s.TxBytes))
}

// scaled is a number of bytes in larger units, with a space in front.
func scaled(n uint64) string {
	v := float64(n)
	for _, unit := range []string{"", "KiB", "MiB", "GiB"} {
		if v < 1024 {
			if unit == "" {
				return ""
			}
			return fmt.Sprintf(" (%.1f %s)", v, unit)
		}
		v /= 1024
	}
	return fmt.Sprintf(" (%.1f TiB)", v)
}

// A member is an interface that is in the engine.
type member struct {
	bridge *ofproto.Bridge
	iface  *ofproto.Iface
	shared *apply.Shared // nil, but for a port that tunnels share, which is in place of an interface
}

func (m member) no() flow.PortNo {
	if m.shared != nil {
		return m.shared.No
	}
	return m.iface.No
}

// portsOf are the datapath's members by number.
func (s *Switch) portsOf(dp string) []member {
	var list []member
	for _, b := range s.applier.Switch.Bridges {
		if datapathOf(b) != dp {
			continue
		}
		for _, i := range b.Ifaces {
			if i.No != 0 && i.Want.Tunnel == nil {
				list = append(list, member{bridge: b, iface: i})
			}
		}
	}
	for _, p := range s.applier.Tunnels {
		if b := s.applier.Switch.Bridges[p.Bridge]; b != nil && datapathOf(b) == dp {
			list = append(list, member{shared: p})
		}
	}
	slices.SortFunc(list, func(a, b member) int { return int(a.no()) - int(b.no()) })
	return list
}

// portNames are the names of the engine's ports.
func (s *Switch) portNames() map[flow.PortNo]string {
	names := make(map[flow.PortNo]string)
	for _, b := range s.applier.Switch.Bridges {
		for _, i := range b.Ifaces {
			if i.No != 0 && i.Want.Tunnel == nil {
				names[i.No] = i.Want.Name
			}
		}
	}
	for name, p := range s.applier.Tunnels {
		names[p.No] = name
	}
	return names
}
