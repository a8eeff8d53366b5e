package desired

import (
	"net"
	"net/netip"
	"time"

	"govs/schema/vswitch"
	"govs/vswitchd/bfd"
)

// bfd reads Interface.bfd; nil where there is to be no BFD.
func (b *builder) bfd(row *vswitch.Interface) *bfd.Config {
	o := row.BFD
	if o["enable"] != "true" {
		return nil
	}
	ms := func(key string, otherwise int) time.Duration {
		n := integer(o, key, otherwise)
		if n < 1 {
			n = otherwise
		}
		return time.Duration(min(n, 1<<31-1)) * time.Millisecond
	}
	c := &bfd.Config{
		MinTx: ms("min_tx", 100), MinRx: ms("min_rx", 1000), DecayMinRx: ms("decay_min_rx", 0),
		ForwardingIfRx: o["forwarding_if_rx"] == "true", PathDown: o["cpath_down"] == "true", ZeroKey: o["check_tnl_key"] == "true", OAM: o["oam"] == "true",
		Mult: 3, Dst: [6]byte{0x00, 0x23, 0x20, 0x00, 0x00, 0x01}, SrcIP: [4]byte{169, 254, 1, 1}, DstIP: [4]byte{169, 254, 1, 0},
	}
	if n := integer(o, "mult", 3); n >= 1 && n <= 255 {
		c.Mult = uint8(n)
	}
	for key, to := range map[string]*[6]byte{"bfd_local_src_mac": &c.Src, "bfd_local_dst_mac": &c.Dst, "bfd_remote_dst_mac": &c.Check} {
		if text := o[key]; text != "" {
			mac, err := net.ParseMAC(text)
			if err != nil || len(mac) != 6 {
				b.problem("Interface", row.UUID, "interface %s: bfd:%s: %q is not an Ethernet address", row.Name, key, text)
				continue
			}
			copy(to[:], mac)
		}
	}
	for key, to := range map[string]*[4]byte{"bfd_src_ip": &c.SrcIP, "bfd_dst_ip": &c.DstIP} {
		if text := o[key]; text != "" {
			ip, err := netip.ParseAddr(text)
			if err != nil || !ip.Is4() {
				b.problem("Interface", row.UUID, "interface %s: bfd:%s: %q is not an IPv4 address", row.Name, key, text)
				continue
			}
			*to = ip.As4()
		}
	}
	return c
}
