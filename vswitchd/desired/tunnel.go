package desired

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"govs/datapath/tunnel"
)

// tunnelKinds are the tunnels that there are, by Interface.type.
var tunnelKinds = map[string]tunnel.Kind{"vxlan": tunnel.VXLAN, "gre": tunnel.GRE, "ip6gre": tunnel.GRE, "geneve": tunnel.Geneve, "erspan": tunnel.ERSPAN, "ip6erspan": tunnel.ERSPAN, "gtpu": tunnel.GTPU}

// TunnelTypes are the values of Interface.type that stand for tunnels.
func TunnelTypes() []string { return slices.Sorted(maps.Keys(tunnelKinds)) }

// tunnelOptions are the options of ovs-vswitchd.conf.db(5), "Tunnel Options",
// that are known; of a part of them only the default value is supported.
var tunnelOptions = []string{"remote_ip", "local_ip", "in_key", "out_key", "key", "dst_port", "tos", "ttl", "df_default", "csum", "seq", "packet_type", "exts", "egress_pkt_mark",
	"erspan_ver", "erspan_idx", "erspan_dir", "erspan_hwid"}

// tunnel reads the options of a tunnel's interface. What is wrong with them is
// the error that the interface has.
func (b *builder) tunnel(i *Interface) (*tunnel.Config, string) {
	o, kind := i.Options, tunnelKinds[i.Type]
	c := &tunnel.Config{Kind: kind, Fragment: o["df_default"] == "false", Csum: known(kind, "csum") && o["csum"] == "true", Seq: kind == tunnel.GRE && o["seq"] == "true"}
	bad := func(format string, args ...any) { b.problem("Interface", i.UUID, i.Name+": "+format, args...) }
	for _, name := range slices.Sorted(maps.Keys(o)) {
		switch {
		case !known(kind, name):
			bad("unknown %s argument '%s'", i.Type, name)
		case name == "exts":
			b.extensions(i, c)
		}
	}
	if text := cmp.Or(packetType(i, c), tunnelEnds(i, c)); text != "" {
		return c, text
	}
	if mark, err := strconv.ParseUint(o["egress_pkt_mark"], 0, 32); err == nil {
		c.Mark = uint32(mark)
	}
	c.InKey, c.InHasKey, c.InFlow = tunnelKey(o, "in_key")
	c.OutKey, c.OutHasKey, c.OutFlow = tunnelKey(o, "out_key")
	b.tunnelHeader(c, o)
	if kind == tunnel.ERSPAN {
		return c, erspan(i, c)
	}
	return c, ""
}

// known says whether tunnels of the kind have an option.
func known(kind tunnel.Kind, name string) bool {
	switch {
	case name == "seq":
		return kind == tunnel.GRE
	case name == "exts":
		return kind == tunnel.VXLAN
	case name == "csum":
		return kind != tunnel.ERSPAN && kind != tunnel.GTPU
	case strings.HasPrefix(name, "erspan_"):
		return kind == tunnel.ERSPAN && TunnelOption(name)
	}
	return TunnelOption(name)
}

// packetType reads options:packet_type.
func packetType(i *Interface, c *tunnel.Config) string {
	c.Mode = defaultMode(c.Kind)
	if text, given := i.Options["packet_type"]; given {
		var ok bool
		if c.Mode, ok = tunnel.ParseMode(text); !ok {
			return fmt.Sprintf("%s: unknown packet_type '%s'", i.Name, text)
		}
	}
	switch {
	case c.Mode == tunnel.LegacyL2 && c.Kind == tunnel.GTPU:
		return fmt.Sprintf("%s: legacy_l2 configured on %s tunnel that cannot carry L2 traffic", i.Name, i.Type)
	case c.Mode != tunnel.LegacyL3 || i.Type == "gre" || c.GPE || c.Kind == tunnel.GTPU:
		return ""
	case c.Kind == tunnel.VXLAN:
		return fmt.Sprintf("%s: legacy_l3 configured on VXLAN (without GPE) tunnel that cannot carry L3 traffic", i.Name)
	}
	return fmt.Sprintf("%s: legacy_l3 configured on %s tunnel that cannot carry L3 traffic", i.Name, i.Type)
}

// defaultMode is the mode of tunnels without options:packet_type.
func defaultMode(k tunnel.Kind) tunnel.Mode {
	if k == tunnel.GTPU {
		return tunnel.LegacyL3
	}
	return tunnel.LegacyL2
}

// extensions reads options:exts of VXLAN: gbp, gpe. A packet with a group-based
// policy is taken whatever the tunnel is like.
func (b *builder) extensions(i *Interface, c *tunnel.Config) {
	for _, name := range strings.Split(i.Options["exts"], ",") {
		switch name {
		case "gpe":
			c.GPE = true
		case "gbp":
			c.GBP = true
		default:
			b.problem("Interface", i.UUID, "%s: unknown extension '%s'", i.Name, name)
		}
	}
}

// tunnelEnds reads remote_ip and local_ip.
func tunnelEnds(i *Interface, c *tunnel.Config) string {
	o := i.Options
	required := fmt.Sprintf("%s: %s type requires valid 'remote_ip' argument", i.Name, i.Type)
	bad := ""
	switch remote, err := netip.ParseAddr(o["remote_ip"]); {
	case o["remote_ip"] == "flow":
	case o["remote_ip"] == "":
		return required
	case err != nil || remote.Zone() != "" || remote.Is4In6():
		bad = fmt.Sprintf("%s: bad %s 'remote_ip'", i.Name, i.Type)
	case remote.IsMulticast():
		bad = fmt.Sprintf("%s: multicast remote_ip=%s not allowed", i.Name, remote)
	default:
		c.Remote = remote
	}
	switch local, err := netip.ParseAddr(o["local_ip"]); {
	case o["local_ip"] == "":
	case o["local_ip"] == "flow" && o["remote_ip"] != "flow":
		return cmp.Or(bad, fmt.Sprintf("%s: %s type requires 'remote_ip=flow' with 'local_ip=flow'", i.Name, i.Type))
	case o["local_ip"] == "flow":
	case err != nil || local.Zone() != "" || local.Is4In6():
		bad = strings.TrimPrefix(bad+fmt.Sprintf("\n%s: bad %s 'local_ip'", i.Name, i.Type), "\n")
	default:
		c.Local = local
	}
	switch {
	case bad != "" && !c.Remote.IsValid() && o["remote_ip"] != "flow":
		if strings.Contains(bad, "multicast") {
			return bad
		}
		return bad + "\n" + required
	case bad != "":
		return bad
	case c.Remote.IsValid() && c.Local.IsValid() && c.Remote.Is4() != c.Local.Is4():
		return fmt.Sprintf("%s: 'remote_ip' and 'local_ip' has to be of the same address family", i.Name)
	}
	return ""
}

// tunnelHeader reads what the outer headers are to have.
func (b *builder) tunnelHeader(c *tunnel.Config, o map[string]string) {
	number := func(name string, limit uint64) uint64 {
		n, err := strconv.ParseUint(o[name], 0, 64)
		if err != nil || n > limit {
			return 0
		}
		return n
	}
	switch c.Kind {
	case tunnel.VXLAN:
		c.Port = tunnel.VXLANPort
	case tunnel.Geneve:
		c.Port = tunnel.GenevePort
	case tunnel.GTPU:
		c.Port = tunnel.GTPUPort
	}
	if n := number("dst_port", 0xffff); n != 0 && c.Port != 0 {
		c.Port = uint16(n)
	}
	c.TOSInherit, c.TTLInherit = o["tos"] == "inherit", o["ttl"] == "inherit"
	c.TOS, c.TTL = uint8(number("tos", 0xff)&^3), uint8(number("ttl", 0xff))
}

// erspan reads the options of ERSPAN. Numbers other than the version's are
// hexadecimal, with 0x or without; "flow" stands for what only OpenFlow could
// say, of a version it means that nothing can be sent.
func erspan(i *Interface, c *tunnel.Config) string {
	number := func(name string, limit uint64) (uint64, string) {
		text, ok := i.Options[name]
		if !ok || text == "flow" {
			return 0, ""
		}
		n, err := strconv.ParseUint(strings.TrimPrefix(text, "0x"), 16, 64)
		if err != nil || n > limit {
			return 0, fmt.Sprintf("%s: invalid %s: %s", i.Name, strings.Replace(name, "_", " ", 1), text)
		}
		return n, ""
	}
	switch text := i.Options["erspan_ver"]; text {
	case "1", "2":
		c.Version = text[0] - '0'
	case "", "flow":
	default:
		return fmt.Sprintf("%s: invalid erspan version: %s", i.Name, text)
	}
	index, bad := number("erspan_idx", 0xfffff)
	dir, bad2 := number("erspan_dir", 1)
	hwid, bad3 := number("erspan_hwid", 0x3f)
	c.Index, c.Egress, c.Hardware = uint32(index), dir == 1, uint8(hwid)
	if c.Version != 1 {
		c.Index = 0
	}
	if c.Version != 2 {
		c.Egress, c.Hardware = false, 0
	}
	return cmp.Or(bad, bad2, bad3)
}

// tunnelKey is what in_key or out_key say, or key for both.
func tunnelKey(o map[string]string, name string) (key uint64, given, flow bool) {
	text, ok := o[name]
	if !ok {
		if text, ok = o["key"]; !ok {
			return 0, false, false
		}
	}
	if text == "flow" {
		return 0, false, true
	}
	key, _ = strconv.ParseUint(text, 0, 64)
	return key, true, false
}

// PacketType is the value of options:packet_type where it is not the default,
// "" otherwise.
func PacketType(i *Interface) string {
	if i.Tunnel.Mode == defaultMode(i.Tunnel.Kind) {
		return ""
	}
	return i.Tunnel.Mode.String()
}

// TunnelOption says whether tunnels have an option of that name.
func TunnelOption(name string) bool { return slices.Contains(tunnelOptions, name) }
