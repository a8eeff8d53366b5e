package desired

import (
	"fmt"
	"net"
	"slices"
	"time"

	"govs/schema/vswitch"
	"govs/vswitchd/bond"
)

// A Bond is how a port of several interfaces works.
type Bond struct {
	Mode       bond.Mode
	UpDelay    time.Duration
	DownDelay  time.Duration
	Rebalance  time.Duration // 0 is never
	Basis      uint32
	Primary    string
	AllActive  bool
	FallbackAB bool
	LBOutput   bool          // the engine places flows
	MIIMon     time.Duration // between two looks at the links; 0 trusts their carriers
}

// A LACP is how a port negotiates.
type LACP struct {
	Active, Fast, FallbackAB bool
	SystemID                 net.HardwareAddr // nil is the bridge's address
	SystemPriority           uint16
}

// A LACPMember is what an interface negotiates with; zeros stand for the
// OpenFlow number, and the port's key.
type LACPMember struct{ ID, Priority, Key uint16 }

const (
	defaultRebalance = 10000 // ms
	defaultMIIMon    = 200
)

// bond reads the columns of a port of several interfaces.
func (b *builder) bond(br *Bridge, p *Port, row *vswitch.Port) {
	other := row.OtherConfig
	ms := func(n int) time.Duration { return time.Duration(max(n, 0)) * time.Millisecond }
	w := &Bond{
		UpDelay:    ms(row.BondUpdelay),
		DownDelay:  ms(row.BondDowndelay),
		Rebalance:  ms(integer(other, "bond-rebalance-interval", defaultRebalance)),
		Basis:      uint32(integer(other, "bond-hash-basis", 0)),
		Primary:    other["bond-primary"],
		AllActive:  other["all-members-active"] == "true",
		FallbackAB: other["lacp-fallback-ab"] == "true",
	}
	switch deref(row.BondMode) {
	case "balance-slb":
		w.Mode = bond.BalanceSLB
		if br.FloodVLANs != nil {
			b.wrong(row.UUID, "Port", row.UUID, "port %s: SLB bonds are incompatible with flood_vlans, please use another bond mode or disable flood_vlans", row.Name)
		}
	case "balance-tcp":
		w.Mode = bond.BalanceTCP
		if p.LACP == nil {
			b.wrong(row.UUID, "Port", row.UUID, "port %s: balance-tcp bonds carry nothing without LACP", row.Name)
		}
	}
	if w.Rebalance > 0 {
		w.Rebalance = max(w.Rebalance, time.Second)
	}
	switch mode := other["bond-detect-mode"]; mode {
	case "", "carrier":
	case "miimon":
		w.MIIMon = ms(integer(other, "bond-miimon-interval", defaultMIIMon))
		if w.MIIMon == 0 {
			w.MIIMon = ms(defaultMIIMon)
		}
	default:
		b.wrong(row.UUID, "Port", row.UUID, "port %s: unsupported bond-detect-mode %s, using carrier", row.Name, mode)
	}
	w.LBOutput = other["lb-output-action"] == "true" && w.Mode == bond.BalanceTCP
	p.Bond = w
	taken := slices.ContainsFunc(p.Interfaces, func(i *Interface) bool { return i.Name == p.Name })
	if row.BondFakeIface && !taken {
		p.Interfaces = append(p.Interfaces, &Interface{
			Name: p.Name, Kind: Internal, Type: "internal", Fake: true, Error: deviceName(p.Name),
			DefaultMAC: macFromUUID(row.UUID), Options: map[string]string{},
		})
		if b.opts.Dummy == DummyOverride || br.DatapathType == "dummy" {
			p.Interfaces[len(p.Interfaces)-1].Kind = DummyNIC
		}
	}
}

// lacp reads the columns of a port that negotiates; nil where it does not.
func (b *builder) lacp(row *vswitch.Port) *LACP {
	mode, other := deref(row.LACP), row.OtherConfig
	if mode != "active" && mode != "passive" {
		return nil
	}
	l := &LACP{Active: mode == "active", Fast: other["lacp-time"] == "fast", FallbackAB: other["lacp-fallback-ab"] == "true"}
	l.SystemPriority = uint16(integer(other, "lacp-system-priority", 0))
	if n := integer(other, "lacp-system-priority", 0); n < 1 || n > 65535 {
		// Links that can be aggregated are preferred.
		l.SystemPriority = 65535
		if len(row.Interfaces) > 1 {
			l.SystemPriority--
		}
		if other["lacp-system-priority"] != "" {
			b.wrong(row.UUID, "Port", row.UUID, "port %s: ignoring invalid lacp-system-priority", row.Name)
		}
	}
	if text, ok := other["lacp-system-id"]; ok {
		mac, err := net.ParseMAC(text)
		if err != nil || len(mac) != 6 || [6]byte(mac) == [6]byte{} {
			b.wrong(row.UUID, "Port", row.UUID, "port %s: ignoring invalid lacp-system-id %q", row.Name, text)
			mac = nil
		}
		l.SystemID = mac
	}
	if text := other["lacp-time"]; text != "" && text != "fast" && text != "slow" {
		b.wrong(row.UUID, "Port", row.UUID, "port %s: ignoring invalid lacp-time %q", row.Name, text)
	}
	return l
}

// lacpMember reads what an interface negotiates with.
func (b *builder) lacpMember(row *vswitch.Interface) (m LACPMember) {
	if len(row.OtherConfig) == 0 {
		return m
	}
	for _, k := range []struct {
		key string
		to  *uint16
	}{{"lacp-port-id", &m.ID}, {"lacp-port-priority", &m.Priority}, {"lacp-aggregation-key", &m.Key}} {
		text, ok := row.OtherConfig[k.key]
		n := integer(row.OtherConfig, k.key, 0)
		if ok && (n < 1 || n > 65535) {
			b.problem("Interface", row.UUID, "interface %s: ignoring invalid %s %q", row.Name, k.key, text)
			n = 0
		}
		*k.to = uint16(n)
	}
	return m
}

// String is the configuration in a few words.
func (w *Bond) String() string {
	if w == nil {
		return "no bond"
	}
	s := fmt.Sprintf("%s up %v down %v", w.Mode, w.UpDelay, w.DownDelay)
	if w.Mode != bond.ActiveBackup {
		s += fmt.Sprintf(" rebalance %v basis %d", w.Rebalance, w.Basis)
	}
	if w.Primary != "" {
		s += " primary " + w.Primary
	}
	if w.AllActive {
		s += " all-members-active"
	}
	if w.LBOutput {
		s += " lb-output"
	}
	if w.MIIMon != 0 {
		s += fmt.Sprintf(" miimon %v", w.MIIMon)
	}
	return s
}

// String is the configuration in a few words.
func (l *LACP) String() string {
	if l == nil {
		return "no lacp"
	}
	s := "lacp passive"
	if l.Active {
		s = "lacp active"
	}
	if l.Fast {
		s += " fast"
	}
	if l.FallbackAB {
		s += " fallback-ab"
	}
	s += fmt.Sprintf(" priority %d", l.SystemPriority)
	if l.SystemID != nil {
		s += " id " + l.SystemID.String()
	}
	return s
}
