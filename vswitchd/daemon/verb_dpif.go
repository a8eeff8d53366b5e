package daemon

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"govs/datapath/flow"
	"govs/vswitchd/desired"
	"govs/vswitchd/ofproto"
)

// features are what the engine can do, in the order of dpif/show-dp-features.
var features = []struct {
	name string
	has  any // "Yes", "No" or how many
}{
	{"Masked set action", "Yes"},
	{"Tunnel push pop", "Yes"},
	{"Ufid", "Yes"},
	{"Truncate action", "Yes"},
	{"Clone action", "Yes"},
	{"Sample nesting", 10},
	{"Conntrack eventmask", "No"},
	{"Conntrack clear", "No"},
	{"Max dp_hash algorithm", 0},
	{"Check pkt length action", "No"},
	{"Conntrack timeout policy", "No"},
	{"Explicit Drop action", "Yes"},
	{"Optimized Balance TCP mode", "Yes"},
	{"Conntrack all-zero IP SNAT", "No"},
	{"MPLS Label add", "No"},
	{"Max VLAN headers", flow.MaxTags},
	{"Max MPLS depth", 1},
	{"Recirc", "Yes"},
	{"CT state", "No"},
	{"CT zone", "No"},
	{"CT mark", "No"},
	{"CT label", "No"},
	{"CT state NAT", "No"},
	{"CT orig tuple", "No"},
	{"CT orig tuple for IPv6", "No"},
	{"IPv6 ND Extension", "No"},
}

// verbsDpif adds dpif/show, dpif/dump-dps, dpif/dump-flows,
// dpif/show-dp-features and dpif/set-dp-features, which refuses.
func (s *Switch) verbsDpif(r Registrar) {
	r.Register("dpif/dump-dps", "", 0, 0, s.reading(func([]string) (string, error) {
		var names []string
		for _, br := range s.applier.Switch.Sorted() {
			names = append(names, br.Want.DatapathType+"@"+br.Want.Name)
		}
		slices.Sort(names)
		return strings.Join(names, "\n"), nil
	}))
	r.Register("dpif/show", "", 0, 0, s.reading(func([]string) (string, error) {
		var b strings.Builder
		st := s.engine.Status()
		for _, dp := range s.datapaths() {
			fmt.Fprintf(&b, "%s: hit:%d missed:%d\n", dp, st.Front+st.Cached+st.Matched, st.Missed)
			for _, br := range s.applier.Switch.Sorted() {
				if datapathOf(br) == dp {
					dpifShow(&b, br)
				}
			}
		}
		return b.String(), nil
	}))
	r.Register("dpif/show-dp-features", "bridge", 1, 1, s.reading(func(args []string) (string, error) {
		if _, err := s.bridge(args[0]); err != nil {
			return "", err
		}
		var b strings.Builder
		for _, f := range features {
			fmt.Fprintf(&b, "%s: %v\n", f.name, f.has)
		}
		return b.String(), nil
	}))
	r.Register("dpif/set-dp-features", "bridge", 1, 3, s.reading(func(args []string) (string, error) {
		if _, err := s.bridge(args[0]); err != nil {
			return "", err
		}
		return "", errors.New("not supported: what the engine can do stays as it is")
	}))
	r.Register("dpif/dump-flows", "[-m] [--names | --no-names] bridge", 1, 3, s.reading(func(args []string) (string, error) {
		opts, rest, err := takeFlags(args, "-m", "--names", "--no-names")
		if err != nil {
			opts, rest = nil, args[len(args)-1:] // C takes no notice of other options
		}
		if len(rest) != 1 {
			return "", errNoBridge
		}
		br, err := s.bridge(rest[0])
		if err != nil {
			return "", err
		}
		return s.dumpFlows(opts, br, nil)
	}))
}

func dpifShow(b *strings.Builder, br *ofproto.Bridge) {
	fmt.Fprintf(b, "  %s:\n", br.Want.Name)
	for _, i := range br.Sorted() {
		if i.OFPort == 0 {
			continue
		}
		number := "none"
		if i.No != 0 {
			number = fmt.Sprint(i.No)
		}
		config := ""
		if i.Want.Peer != "" {
			config = ": peer=" + i.Want.Peer
		}
		if i.Want.Tunnel != nil {
			config = ": " + tunnelText(i.Want)
		}
		fmt.Fprintf(b, "    %s %d/%s: (%s%s)\n", i.Want.Name, i.OFPort, number, deviceType(br, i), config)
	}
}

// deviceType is what the C daemon says of an interface's device.
func deviceType(br *ofproto.Bridge, i *ofproto.Iface) string {
	switch {
	case i.Want.Kind == desired.DummyNIC && i.Want.Type == "internal":
		return "dummy-internal"
	case i.Want.Kind == desired.Internal && br.Want.DatapathType == "netdev":
		return "tap"
	}
	return i.Want.Type
}

// datapathOf is the name of the datapath that the bridge stands for.
func datapathOf(br *ofproto.Bridge) string {
	t := br.Want.DatapathType
	return t + "@ovs-" + t
}

// datapaths are the names of those that have bridges.
func (s *Switch) datapaths() []string {
	names := make(map[string]bool)
	for _, b := range s.applier.Switch.Bridges {
		names[datapathOf(b)] = true
	}
	return slices.Sorted(maps.Keys(names))
}
