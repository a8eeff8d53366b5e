package daemon

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"govs/datapath/tunnel"
	"govs/vswitchd/apply"
	"govs/vswitchd/desired"
	"govs/vswitchd/ofproto"
)

// sharedText is a shared port in brackets, as dpctl/show has it.
func sharedText(p *apply.Shared) string {
	options := "packet_type=ptap"
	if usual, ok := map[tunnel.Kind]uint16{tunnel.VXLAN: tunnel.VXLANPort, tunnel.Geneve: tunnel.GenevePort, tunnel.GTPU: tunnel.GTPUPort}[p.Kind]; ok && p.Port != usual {
		options = fmt.Sprintf("dst_port=%d, ", p.Port) + options
	}
	if p.Kind == tunnel.ERSPAN {
		options = "erspan_ver=0, " + options
	}
	return fmt.Sprintf("%s: %s", p.Kind, options)
}

// erspanText are the options of an ERSPAN tunnel as dpif/show has them.
func erspanText(i *desired.Interface) map[string]string {
	c := i.Tunnel
	dir := "0"
	if c.Egress {
		dir = "1"
	}
	text := map[string]string{"erspan_ver": fmt.Sprint(c.Version)}
	switch version := i.Options["erspan_ver"]; version {
	case "1":
		text["erspan_idx"] = fmt.Sprintf("%#x", c.Index)
	case "2":
		text["erspan_dir"], text["erspan_hwid"] = dir, fmt.Sprintf("%#x", c.Hardware)
	case "flow":
		return map[string]string{"erspan_ver": "flow", "erspan_idx": "flow", "erspan_dir": "flow", "erspan_hwid": "flow"}
	}
	for name := range text {
		if i.Options[name] == "flow" {
			text[name] = "flow"
		}
	}
	return text
}

// tunnelText are a tunnel's options as dpif/show has them.
func tunnelText(i *desired.Interface) string {
	options := maps.Clone(i.Options)
	if c := i.Tunnel; c.Kind == tunnel.ERSPAN {
		maps.DeleteFunc(options, func(name, _ string) bool { return strings.HasPrefix(name, "erspan_") })
		maps.Copy(options, erspanText(i))
	}
	if options["packet_type"] = desired.PacketType(i); options["packet_type"] == "" {
		delete(options, "packet_type")
	}
	var words []string
	for _, name := range slices.Sorted(maps.Keys(options)) {
		if desired.TunnelOption(name) && name != "exts" {
			words = append(words, name+"="+options[name])
		}
	}
	return strings.Join(words, ", ")
}

// listTunnels tells of the tunnels, by the numbers of the ports that they share.
func (s *Switch) listTunnels([]string) (string, error) {
	var list []*ofproto.Iface
	for _, br := range s.applier.Switch.Sorted() {
		for _, i := range br.Sorted() {
			if i.Want.Tunnel != nil && i.No != 0 {
				list = append(list, i)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b *ofproto.Iface) int {
		return cmp.Or(cmp.Compare(a.No, b.No), strings.Compare(a.Want.Name, b.Want.Name))
	})
	var b strings.Builder
	for _, i := range list {
		fmt.Fprintf(&b, "port %d: %s (%s: %s)\n", i.No, i.Want.Name, i.Want.Type, describe(i))
	}
	return b.String(), nil
}

// describe is what distinguishes a tunnel, and what it puts on.
func describe(i *ofproto.Iface) string {
	c, o := i.Want.Tunnel, i.Want.Options
	end := func(name string, a netip.Addr) string {
		switch {
		case o[name] == "flow":
			return "flow"
		case !a.IsValid():
			return "::"
		}
		return a.String()
	}
	number := func(flow bool, key uint64) string {
		switch {
		case flow:
			return "flow"
		case key == 0:
			return "0"
		}
		return fmt.Sprintf("%#x", key)
	}
	in, out := number(c.InFlow, c.InKey), number(c.OutFlow, c.OutKey)
	words := []string{end("local_ip", c.Local) + "->" + end("remote_ip", c.Remote), "key=" + in, c.Mode.String(), fmt.Sprintf("dp port=%d", i.No)}
	if out != in {
		words = append(words, "out_key="+out)
	}
	ttl := fmt.Sprintf("ttl=%d", cmp.Or(c.TTL, tunnel.TTL))
	if c.TTLInherit {
		ttl = "ttl=inherit"
	}
	words = append(words, ttl)
	switch {
	case c.TOSInherit:
		words = append(words, "tos=inherit")
	case c.TOS != 0:
		words = append(words, fmt.Sprintf("tos=%#x", c.TOS))
	}
	if c.Fragment {
		words = append(words, "df=false")
	}
	if c.Csum {
		words = append(words, "csum=true")
	}
	return strings.Join(words, ", ")
}
