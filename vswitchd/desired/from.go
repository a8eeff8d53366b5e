package desired

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"govs/internal/chash"
	"govs/schema/vswitch"
	"govs/vswitchd/model"
	"govs/vswitchd/qos"
)

// Limits and defaults of ovs-vswitchd.conf.db(5).
const (
	defaultStats     = 5 * time.Second
	defaultFlowLimit = 200000
	defaultMaxIdle   = 10 * time.Second
	defaultMACAging  = 300
	defaultMACTable  = 8192
	maxOFPort        = 65279
	maxQueues        = 64 // that a port of type afxdp may be asked for
)

// An owner is where an interface is.
type owner struct{ port, bridge string }

// builder collects a State.
type builder struct {
	rows  *model.Snapshot
	opts  Options
	state *State
	ports map[string]string // port UUID -> bridge that has it
	ifs   map[string]owner  // interface UUID -> the port that has it
}

// From computes the State for the rows.
func From(rows *model.Snapshot, opts Options) *State {
	b := &builder{
		rows:  rows,
		opts:  opts,
		ports: make(map[string]string),
		ifs:   make(map[string]owner),
		state: &State{
			StatsInterval: defaultStats,
			FlowLimit:     defaultFlowLimit,
			MaxIdle:       defaultMaxIdle,
		},
	}
	if rows.Root != nil {
		b.root(rows.Root)
	}
	return b.state
}

func (b *builder) problem(table, uuid, format string, args ...any) {
	b.state.Problems = append(b.state.Problems, Problem{Table: table, UUID: uuid, Text: fmt.Sprintf(format, args...)})
}

// wrong is a problem that the row at tells of, a bridge's or a port's.
func (b *builder) wrong(at, table, uuid, format string, args ...any) {
	b.problem(table, uuid, format, args...)
	b.state.Problems[len(b.state.Problems)-1].At = at
}

func (b *builder) root(root *vswitch.OpenvSwitch) {
	s, other := b.state, root.OtherConfig
	s.Root, s.NextCfg = root.UUID, root.NextCfg
	s.StatsInterval = time.Duration(max(integer(other, "stats-update-interval", 5000), 5000)) * time.Millisecond
	s.SystemStats = other["enable-statistics"] == "true"
	s.VLANLimit = max(integer(other, "vlan-limit", 1), 0)
	s.FlowLimit = max(integer(other, "flow-limit", defaultFlowLimit), 0)
	s.MaxIdle = time.Duration(max(integer(other, "max-idle", 10000), 500)) * time.Millisecond
	switch word := other["ebpf-offload"]; word {
	case "", "auto":
	case "true":
		s.Offload = OffloadOn
	case "false":
		s.Offload = OffloadOff
	default:
		b.problem("Open_vSwitch", root.UUID, "other_config:ebpf-offload: %q is not true, false or auto; auto it is", word)
	}
	b.unheeded("Open_vSwitch", root.UUID, "", "other_config", other, rootUnheeded)
	s.SystemType, s.SystemVersion = deref(root.SystemType), deref(root.SystemVersion)

	// Rows that a reference names and that are not there belong to a newer
	// moment; the next snapshot has them.
	for _, row := range byName(root.Bridges, b.rows.Bridges, (*vswitch.Bridge).GetName) {
		if strings.ContainsAny(row.Name, "/") {
			b.problem("Bridge", row.UUID, "ignoring bridge with invalid name %q", row.Name)
			continue
		}
		s.Bridges = append(s.Bridges, b.bridge(row))
	}
	b.samples()
}

func (b *builder) bridge(row *vswitch.Bridge) *Bridge {
	other := row.OtherConfig
	br := &Bridge{
		UUID:         row.UUID,
		Name:         row.Name,
		DatapathType: row.DatapathType,
		DefaultMAC:   macFromUUID(row.UUID),
		MACAging:     time.Duration(clamp(integer(other, "mac-aging-time", defaultMACAging), 15, 3600)) * time.Second,
		MACTableSize: clamp(integer(other, "mac-table-size", defaultMACTable), 10, 1000000),
		FloodVLANs:   sorted(row.FloodVLANs),
		ForwardBPDU:  other["forward-bpdu"] == "true",
		FailSecure:   deref(row.FailMode) == "secure",
	}
	if br.DatapathType == "" {
		br.DatapathType = "system"
	}
	switch {
	case b.opts.Dummy.Datapath(br.DatapathType):
		br.Dummy = true
	case br.DatapathType == "netdev":
	case br.DatapathType == "system" && !b.opts.DisableSystem:
	default:
		br.Error = fmt.Sprintf("failed to create bridge %s: unknown datapath type %s", br.Name, br.DatapathType)
	}
	b.addresses(br, other)
	b.unsupported(row)
	br.mappings = b.attach(row)
	br.Tree = b.tree(br, row)
	if row.McastSnoopingEnable {
		br.Snooping = &Snooping{
			Aging:     time.Duration(clamp(integer(other, "mcast-snooping-aging-time", 300), 15, 3600)) * time.Second,
			TableSize: clamp(integer(other, "mcast-snooping-table-size", 2048), 10, 1000000),
			Quiet:     other["mcast-snooping-disable-flood-unregistered"] == "true",
		}
	}
	if row.Netflow != nil {
		br.NetFlow = b.netflow(br, row)
	}
	if row.Sflow != nil {
		br.SFlow = b.sflow(br, *row.Sflow)
	}
	if row.IPFIX != nil {
		br.IPFIX = b.ipfix(br, *row.IPFIX)
	}
	for _, port := range byName(row.Ports, b.rows.Ports, (*vswitch.Port).GetName) {
		if owner, taken := b.ports[port.UUID]; taken {
			b.wrong(port.UUID, "Port", port.UUID, "bridge %s: port %s is already in bridge %s", br.Name, port.Name, owner)
			continue
		}
		b.ports[port.UUID] = br.Name
		br.Ports = append(br.Ports, b.port(br, port))
	}
	b.mirrors(br, row)
	return br
}

// addresses reads hwaddr and datapath-id.
func (b *builder) addresses(br *Bridge, other map[string]string) {
	if text, ok := other["hwaddr"]; ok {
		mac, err := unicastMAC(text)
		if err != nil {
			b.wrong(br.UUID, "Bridge", br.UUID, "bridge %s: cannot set hwaddr: %v", br.Name, err)
		}
		br.HWAddr = mac
	}
	if text, ok := other["datapath-id"]; ok {
		id, err := datapathID(text)
		if err != nil {
			b.wrong(br.UUID, "Bridge", br.UUID, "bridge %s: %v", br.Name, err)
		}
		br.DatapathID = id
	}
}

func (b *builder) netflow(br *Bridge, bridge *vswitch.Bridge) *NetFlow {
	uuid := *bridge.Netflow
	row, ok := b.rows.NetFlows[uuid]
	if !ok {
		return nil
	}
	n := &NetFlow{
		UUID:          uuid,
		Targets:       slices.Sorted(slices.Values(row.Targets)),
		ActiveTimeout: 600 * time.Second,
		AddID:         row.AddIDToInterface,
		EngineSet:     row.EngineID != nil || row.EngineType != nil,
	}
	// By default they are the "datapath index", which in C is a hash of the
	// datapath's name.
	index := chash.Murmur("ovs-" + br.DatapathType)
	n.EngineID, n.EngineType = uint8(index), uint8(index>>8)
	if row.EngineID != nil {
		n.EngineID = uint8(*row.EngineID)
	}
	if row.EngineType != nil {
		n.EngineType = uint8(*row.EngineType)
	}
	switch {
	case row.ActiveTimeout > 0:
		n.ActiveTimeout = time.Duration(row.ActiveTimeout) * time.Second
	case row.ActiveTimeout < 0:
		n.ActiveTimeout = 0 // none
	}
	const most = 508 // numbers that nine bits hold besides those of OpenFlow
	interfaces := 0
	for _, uuid := range bridge.Ports {
		if p := b.rows.Ports[uuid]; p != nil {
			interfaces += len(p.Interfaces)
		}
	}
	if n.AddID && n.EngineID >= 128 {
		b.problem("NetFlow", uuid, "bridge %s: NetFlow port mangling may conflict with another vswitch, choose an engine id less than 128", br.Name)
	}
	if n.AddID && interfaces > most {
		b.problem("NetFlow", uuid, "bridge %s: NetFlow port mangling will conflict with another port when more than %d ports are used", br.Name, most)
	}
	n.Version = 5
	switch v, set := row.ExternalIDs["netflow-version"]; {
	case v == "9":
		n.Version = 9
	case set && v != "5":
		b.problem("NetFlow", uuid, "bridge %s: NetFlow external_ids:netflow-version %q not supported, it is 5 or 9; 5 it is", br.Name, v)
	}
	return n
}

func (b *builder) port(br *Bridge, row *vswitch.Port) *Port {
	p := &Port{
		UUID:         row.UUID,
		Name:         row.Name,
		Trunks:       sorted(row.Trunks),
		Protected:    row.Protected,
		McastFlood:   row.OtherConfig["mcast-snooping-flood"] == "true",
		McastReports: row.OtherConfig["mcast-snooping-flood-reports"] == "true",
		PriorityTags: "never",
	}
	cannot := b.vlan(p, row)
	switch text := row.OtherConfig["priority-tags"]; text {
	case "if-nonzero", "always":
		p.PriorityTags = text
	case "true": // as it was spelled once
		p.PriorityTags = "if-nonzero"
	}
	egress := b.egress(row)
	for _, iface := range byName(row.Interfaces, b.rows.Interfaces, (*vswitch.Interface).GetName) {
		if owner, taken := b.ifs[iface.UUID]; taken {
			b.problem("Interface", iface.UUID, "interface %s is already in port %s of bridge %s", iface.Name, owner.port, owner.bridge)
			continue
		}
		b.ifs[iface.UUID] = owner{p.Name, br.Name}
		i := b.iface(br, row, iface)
		if i.Error == "" {
			i.Error = cannot
		}
		if egress != nil && (i.Kind == Patch || i.Kind == TunnelEnd) {
			b.wrong(row.UUID, "Port", row.UUID, "port %s: QoS not supported on %s port %s", row.Name, i.Kind, i.Name)
		} else {
			i.QoS = egress
		}
		p.Interfaces = append(p.Interfaces, i)
	}
	if len(p.Interfaces) == 0 {
		b.wrong(row.UUID, "Port", row.UUID, "port %s has no interfaces", row.Name)
	}
	p.LACP = b.lacp(row)
	p.Tree = b.treePort(br, p, row)
	if row.BondMode != nil && len(p.Interfaces) == 1 {
		b.wrong(row.UUID, "Port", row.UUID, "port %s: bond_mode %s asks for two interfaces or more, there is one", row.Name, *row.BondMode)
	}
	if len(p.Interfaces) > 1 {
		b.bond(br, p, row)
		p.ActiveBefore, _ = net.ParseMAC(deref(row.BondActiveSlave))
	}
	return p
}

// vlan reads tag, trunks and vlan_mode. What it returns, if not empty, is why
// the port cannot be.
func (b *builder) vlan(p *Port, row *vswitch.Port) string {
	tag, tagged := deref(row.Tag), row.Tag != nil
	if tag < 0 || tag > 4095 {
		b.wrong(row.UUID, "Port", row.UUID, "port %s: tag %d is out of range 0 to 4095", row.Name, tag)
		tag, tagged = 0, false
	}
	valid := slices.DeleteFunc(slices.Clone(p.Trunks), func(vid int) bool { return vid < 0 || vid > 4095 })
	if len(valid) < len(p.Trunks) {
		b.wrong(row.UUID, "Port", row.UUID, "port %s: ignoring invalid values in trunks", row.Name)
		if len(valid) == 0 {
			valid = nil
		}
		p.Trunks = valid
	}
	switch mode := deref(row.VLANMode); mode {
	case "":
		if tagged {
			p.VLAN = Access
			if p.Trunks != nil {
				b.wrong(row.UUID, "Port", row.UUID, "port %s: ignoring trunks in favor of implicit vlan", row.Name)
			}
		}
	case "access":
		p.VLAN = Access
	case "trunk":
		p.VLAN = Trunk
	case "native-tagged":
		p.VLAN = NativeTagged
	case "native-untagged":
		p.VLAN = NativeUntagged
	case "dot1q-tunnel":
		p.VLAN, p.TunnelTPID = Tunnel, 0x88a8
		if row.OtherConfig["qinq-ethtype"] == "802.1q" {
			p.TunnelTPID = 0x8100
		}
		p.Customers = vlans(row.CVLANs)
	default:
		return fmt.Sprintf("port %s: VLAN mode %s not supported", row.Name, mode)
	}
	if p.VLAN == Access || p.VLAN == Tunnel {
		p.Trunks = nil
	}
	if p.VLAN != Trunk {
		p.Tag = tag
	}
	return ""
}

// vlans are the valid ones of a list, sorted.
func vlans(list []int) []int {
	return slices.DeleteFunc(sorted(list), func(vid int) bool { return vid < 0 || vid > 4095 })
}

func (b *builder) iface(br *Bridge, port *vswitch.Port, row *vswitch.Interface) *Interface {
	i := &Interface{
		UUID:       row.UUID,
		Name:       row.Name,
		Type:       row.Type,
		Local:      row.Name == br.Name,
		DefaultMAC: macFromUUID(row.UUID),
		MTU:        deref(row.MTURequest),
		Options:    row.Options,
		LACP:       b.lacpMember(row),
		BFD:        b.bfd(row),
		CFM:        b.cfm(row),
		LLDP:       b.lldp(br, row),
		Policing: qos.Policing{
			Kbps:       uint64(max(row.IngressPolicingRate, 0)),
			Kbits:      uint64(max(row.IngressPolicingBurst, 0)),
			Kpps:       uint64(max(row.IngressPolicingKpktsRate, 0)),
			KpktsBurst: uint64(max(row.IngressPolicingKpktsBurst, 0)),
		},
	}
	if i.Type == "" {
		i.Type = "system"
	}
	if i.Local {
		i.Type = "internal"
	}
	if n := deref(row.OfportRequest); n >= 1 && n <= maxOFPort {
		i.OFPRequest = n
	}
	if n := deref(row.Ofport); n >= 1 && n <= maxOFPort {
		i.OFPBefore = n
	}
	text := deref(row.MAC)
	if text == "" && len(port.Interfaces) > 1 {
		text = deref(port.MAC)
	}
	if text != "" {
		mac, err := unicastMAC(text)
		if err != nil {
			b.problem("Interface", i.UUID, "interface %s: cannot set MAC: %v", i.Name, err)
		}
		i.MAC = mac
	}
	i.Kind, i.Error = b.kind(br, i)
	if i.Kind == Patch && i.Error == "" {
		i.Peer = i.Options["peer"]
		switch i.Peer {
		case "":
			i.Error = i.Name + ": patch type requires valid 'peer' argument"
		case i.Name:
			i.Error = i.Name + ": patch peer must not be self"
		}
	}
	b.unheeded("Interface", i.UUID, "interface "+i.Name+": ", "other_config", row.OtherConfig, ifaceUnheeded)
	if takesNone := i.Kind == System || i.Kind == Internal || i.Kind == Tap; takesNone && i.Error == "" && len(row.Options) > 0 {
		b.problem("Interface", i.UUID, "%s: arguments provided to device that is not configurable", i.Name)
	}
	if i.Kind != TunnelEnd {
		b.unheeded("Interface", i.UUID, "interface "+i.Name+": ", "options", row.Options, optionsUnheeded)
	} else if i.Error == "" {
		i.Tunnel, i.Error = b.tunnel(i)
	}
	return i
}

// kind decides how the interface is made.
func (b *builder) kind(br *Bridge, i *Interface) (Kind, string) {
	override := b.opts.Dummy == DummyOverride || br.DatapathType == "dummy"
	if _, is := tunnelKinds[i.Type]; is {
		if b.opts.Dummy == DummyOverride {
			return DummyNIC, ""
		}
		return TunnelEnd, ""
	}
	if override {
		switch i.Type {
		case "patch":
			return Patch, ""
		case "system", "internal", "tap", "lisp", "stt", "gtpu", "bareudp", "afxdp", "afxdp-nonpmd":
			return DummyNIC, ""
		}
	}
	switch i.Type {
	case "system":
		if b.opts.Dummy == DummySystem {
			return DummyNIC, ""
		}
		if i.Name == "lo" {
			return System, "could not add network device lo to ofproto (Invalid argument)"
		}
		return System, deviceName(i.Name)
	case "internal":
		if b.opts.Dummy == DummySystem && br.DatapathType == "system" {
			return DummyNIC, ""
		}
		return Internal, deviceName(i.Name)
	case "tap":
		return Tap, deviceName(i.Name)
	case "afxdp", "afxdp-nonpmd":
		return AFXDP, cmp.Or(deviceName(i.Name), xdpOptions(i))
	case "pcap":
		if b.opts.Dummy != DummyOff {
			return PCAP, ""
		}
	case "patch":
		return Patch, ""
	case "dummy", "dummy-internal", "dummy-pmd":
		if b.opts.Dummy != DummyOff {
			return DummyNIC, ""
		}
	}
	return System, fmt.Sprintf("could not open network device %s (Address family not supported by protocol)", i.Name)
}

// xdpOptions checks the options of an interface of type afxdp.
func xdpOptions(i *Interface) string {
	mode := []string{"", "best-effort", "native-with-zerocopy", "native", "generic"}
	if n := integer(i.Options, "n_rxq", 1); n > maxQueues || !slices.Contains(mode, i.Options["xdp-mode"]) {
		return fmt.Sprintf("%s: could not set configuration (Invalid argument)", i.Name)
	}
	return ""
}

// deviceName checks what Linux asks of a network device's name.
func deviceName(name string) string {
	if len(name) > 15 || strings.ContainsAny(name, "/ :\t\n") || name == "." || name == ".." {
		return fmt.Sprintf("could not open network device %s (No such device)", name)
	}
	return ""
}

// macFromUUID is a locally administered address that stays the same as long
// as the row lives: bytes of the UUID, in the C daemon's order.
func macFromUUID(uuid string) net.HardwareAddr {
	mac := make(net.HardwareAddr, 6)
	for i, at := range []int{6, 4, 2, 0, 16, 14} { // a dash stands at 8 and at 13
		if at+2 <= len(uuid) {
			_, _ = hex.Decode(mac[i:i+1], []byte(uuid[at:at+2]))
		}
	}
	mac[0] = mac[0]&^1 | 2
	return mac
}

func unicastMAC(text string) (net.HardwareAddr, error) {
	mac, err := net.ParseMAC(text)
	switch {
	case err != nil || len(mac) != 6:
		return nil, fmt.Errorf("%q is not an Ethernet address", text)
	case mac[0]&1 != 0:
		return nil, fmt.Errorf("%s is a multicast address", text)
	case slices.Max(mac) == 0:
		return nil, fmt.Errorf("%s is all zeros", text)
	}
	return mac, nil
}

func datapathID(text string) (string, error) {
	digits, prefixed := strings.CutPrefix(text, "0x")
	n, err := strconv.ParseUint(digits, 16, 64)
	if err != nil || n == 0 || (!prefixed && len(text) != 16) {
		return "", fmt.Errorf("invalid datapath-id %q: it needs a 0x prefix or exactly 16 hex digits, and must not be zero", text)
	}
	return fmt.Sprintf("%016x", n), nil
}

// byName returns the rows that the references name, sorted by name. Of those
// with the same name the last one counts.
func byName[T any](refs []string, rows map[string]T, name func(T) string) []T {
	list := make([]T, 0, len(refs))
	for _, uuid := range refs {
		if row, ok := rows[uuid]; ok {
			list = append(list, row)
		}
	}
	slices.SortStableFunc(list, func(a, b T) int { return strings.Compare(name(a), name(b)) })
	unique := list[:0]
	for i, row := range list {
		if i+1 == len(list) || name(row) != name(list[i+1]) {
			unique = append(unique, row)
		}
	}
	return unique
}

func integer(m map[string]string, key string, otherwise int) int {
	n, err := strconv.Atoi(m[key])
	if err != nil {
		return otherwise
	}
	return n
}

func clamp(n, low, high int) int { return min(max(n, low), high) }

func sorted(list []int) []int {
	if len(list) == 0 {
		return nil
	}
	return slices.Sorted(slices.Values(list))
}

func deref[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}
