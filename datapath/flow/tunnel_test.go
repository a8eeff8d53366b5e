package flow

import (
	"strings"
	"testing"
)

const tunnelText = "tunnel(tun_id=0x7b,src=1.1.2.92,dst=1.1.2.88,tos=0,ttl=64/0,flags(-df-csum+key)),recirc_id(0),in_port(4789),packet_type(ns=0,id=0)," +
	"eth(src=50:54:00:00:00:03,dst=50:54:00:00:00:01),eth_type(0x0800),ipv4(frag=no)"

func TestTunnelText(t *testing.T) {
	k, m, err := Parse(tunnelText, nil)
	if err != nil {
		t.Fatal(err)
	}
	if k.TunID != 123 || k.TunTTL != 64 || k.TunFlg != TunKey || m.TunFlg != TunDF|TunCsum|TunKey || m.TunTTL != 0 || !k.Tunnelled() {
		t.Errorf("%+v", k)
	}
	if got, want := Format(&k, &m, Style{}), strings.Replace(tunnelText, ",ttl=64/0", "", 1); got != want {
		t.Errorf("printed as\n%s, want\n%s", got, want)
	}
	// As Open vSwitch 3.1.0 has it.
	if got, want := FormatMatch(&k, &m, "2"), "recirc_id=0,eth,ip,tun_id=0x7b,tun_src=1.1.2.92,tun_dst=1.1.2.88,tun_tos=0,tun_flags=-df-csum+key,in_port=2,"+
		"dl_src=50:54:00:00:00:03,dl_dst=50:54:00:00:00:01,nw_frag=no"; got != want {
		t.Errorf("printed as\n%s, want\n%s", got, want)
	}
	k.TunFlg = TunDF | TunKey
	if got, want := FormatKey(&k, "2"), "ip,tun_id=0x7b,tun_src=1.1.2.92,tun_dst=1.1.2.88,tun_ipv6_src=::,tun_ipv6_dst=::,tun_gbp_id=0,tun_gbp_flags=0,tun_tos=0,tun_ttl=64,"+
		"tun_erspan_ver=0,gtpu_flags=0,gtpu_msgtype=0,tun_flags=df|key,in_port=2,"; !strings.HasPrefix(got, want) {
		t.Errorf("printed as\n%s, want\n%s", got, want)
	}
	if k, _, err := Parse("tunnel(dst=1.1.1.1,flags(df|key)),in_port(1)", nil); err != nil || k.TunFlg != TunDF|TunKey {
		t.Errorf("%+v, %v", k.TunFlg, err)
	}
	bare := "tunnel(tun_id=0x8,src=1.1.2.92,dst=1.1.2.88,flags(-df-csum+key)),recirc_id(0),in_port(6),packet_type(ns=1,id=0x800),eth_type(0x0800),ipv4(tos=0/0x3,frag=no)"
	if k, m, err := Parse(bare, nil); err != nil || k.PacketType != PacketTypeNS|0x800 || m.PacketType != ^uint32(0) || Format(&k, &m, Style{}) != bare {
		t.Errorf("without an Ethernet header: %v, %s", err, Format(&k, &m, Style{}))
	}
	policy := "tunnel(tun_id=0x8,src=1.1.2.92,dst=1.1.2.88,vxlan(gbp(id=100,flags=0x8/0x48)),flags(-df-csum+key)),recirc_id(0),in_port(6),packet_type(ns=0,id=0),eth_type(0x0806)"
	if k, m, err := Parse(policy, nil); err != nil || k.TunGBPID != 100 || k.TunGBPFlags != 8 || Format(&k, &m, Style{}) != policy ||
		!strings.Contains(FormatMatch(&k, &m, "6"), ",tun_gbp_id=100,tun_gbp_flags=8,") {
		t.Errorf("with a policy: %v, %s, %s", err, Format(&k, &m, Style{}), FormatMatch(&k, &m, "6"))
	}
	for _, text := range []string{"tunnel(dst=1.1.1.1,vxlan(gbp(id=1))", "tunnel(dst=1.1.1.1,vxlan(gbp(id=65536)))", "tunnel(dst=1.1.1.1,vxlan(gbp(oops=1)))", "packet_type(ns=1)", "packet_type(ns=2,id=0x800)", "packet_type(ns=0,id=0x800)", "packet_type(ns=1,id=0x10000)", "packet_type(ns=-1,id=0)"} {
		if _, _, err := Parse(text, nil); err == nil {
			t.Errorf("%s was read", text)
		}
	}
	for _, text := range []string{"tunnel()", "tunnel(src=1.1.1.1)", "tunnel(dst=1.1.1.1,flags(+oops))", "tunnel(dst=1.1.1.1,flags(+df),ttl=1)", "tunnel(dst=1.1.1.1),tunnel(dst=1.1.1.1)", "tunnel(dst=::1)"} {
		if k, _, err := Parse(text, nil); err == nil {
			t.Errorf("%s: read as %+v", text, k)
		}
	}
}

// What the outer headers said counts in the hash, and so in the cache.
func TestTunnelHash(t *testing.T) {
	k, _, err := Parse(tunnelText, nil)
	if err != nil {
		t.Fatal(err)
	}
	other := k
	other.TunID++
	if k.Hash() == other.Hash() {
		t.Error("two tunnels have one hash")
	}
}
