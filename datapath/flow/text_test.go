package flow

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"govs/datapath/header"
	"govs/datapath/packet"
)

func lines(t testing.TB, file string) []string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []string
	for s := bufio.NewScanner(f); s.Scan(); {
		if line := s.Text(); line != "" && line[0] != '#' {
			all = append(all, line)
		}
	}
	return all
}

func resolve(name string) (PortNo, bool) {
	n, err := strconv.Atoi(strings.TrimPrefix(name, "p"))
	return PortNo(n), err == nil
}

// The C switch's text is parsed and printed again.
func TestFormatAsTheCSwitch(t *testing.T) {
	for _, line := range lines(t, "testdata/dump-flows.txt") {
		k, m, err := Parse(line, resolve)
		if err != nil {
			t.Errorf("%s\n%v", line, err)
			continue
		}
		if strings.Contains(line, "tcp_flags(0/0)") {
			k.TCPFlags = header.ACK // the C switch hides the value, unless there are no flags
		}
		s := Style{All: strings.HasPrefix(line, "skb")}
		if strings.Contains(line, "in_port(p") {
			s.Name = func(no PortNo) string { return fmt.Sprintf("p%d", no) }
		}
		if got := Format(&k, &m, s); got != line {
			t.Errorf("\ngot  %s\nwant %s", got, line)
		}
	}
}

// What is printed is parsed back to the same, for masks of every single field
// (with those that others stand behind) and of all of them.
func TestParseReadsWhatFormatPrints(t *testing.T) {
	for _, line := range composed(t) {
		k, _, err := Parse(line.text, nil)
		if err != nil {
			t.Fatal(err)
		}
		for f := Fields(1); f <= PacketType<<1; f <<= 1 {
			var m Mask
			m.Add(InPort | RecircID | EthType | VLANHas | VLANTPID | CVLANHas | CVLANTPID | Proto | TPSrc | TPDst)
			if f > PacketType {
				m.Add(f - 1)
			} else {
				m.Add(f)
			}
			text := Format(&k, &m, Style{})
			k2, m2, err := Parse(text, nil)
			if err != nil {
				t.Errorf("%s: %v", text, err)
				continue
			}
			if again := Format(&k2, &m2, Style{}); again != text {
				t.Errorf("%s\nparsed as %s", text, again)
			}
			if !m2.Equal(&k, &k2) {
				t.Errorf("%s: another key, %v", text, &k2)
			}
		}
	}
}

type composedFrame struct {
	text   string
	length int
	frame  []byte
}

func composed(t testing.TB) []composedFrame {
	t.Helper()
	l := lines(t, "testdata/compose.txt")
	var all []composedFrame
	for i := 0; i+2 < len(l); i += 3 {
		n, err := strconv.Atoi(l[i+1])
		if err != nil {
			t.Fatal(err)
		}
		frame, err := hex.DecodeString(l[i+2])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, composedFrame{l[i], n, frame})
	}
	return all
}

func TestComposeAsTheCSwitch(t *testing.T) {
	for _, c := range composed(t) {
		k, _, err := Parse(c.text, nil)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if got := Compose(&k, c.length); string(got) != string(c.frame) {
			t.Errorf("%s\ngot  %x\nwant %x", c.text, got, c.frame)
		}
	}
}

func TestExtractReadsWhatComposeMakes(t *testing.T) {
	var pool packet.Pool
	extra := []string{
		"eth(src=2:0:0:0:0:1,dst=2:0:0:0:0:2),eth_type(0x88a8),vlan(vid=10,pcp=3),encap(eth_type(0x8100)," +
			"vlan(vid=4095,pcp=7),encap(eth_type(0x86dd),ipv6(src=fe80::1,dst=fe80::2,proto=6,hlimit=9,frag=first)," +
			"tcp(src=5,dst=6),tcp_flags(ack)))",
		"eth(src=2:0:0:0:0:1,dst=2:0:0:0:0:2),eth_type(0x86dd),ipv6(src=fe80::1,dst=fe80::2,proto=44,hlimit=9,frag=later)",
		"eth(src=2:0:0:0:0:1,dst=2:0:0:0:0:2),eth_type(0x0800),ipv4(src=1.1.1.1,dst=224.0.0.1,proto=2,ttl=1,frag=no)",
	}
	texts := extra
	for _, c := range composed(t) {
		if strings.Contains(c.text, "arp(") || !strings.Contains(c.text, "0x0806") {
			texts = append(texts, c.text)
		}
	}
	for _, text := range texts {
		text = strings.NewReplacer("=2:0:0:0:0:", "=02:00:00:00:00:0").Replace(text)
		k, _, err := Parse(text, nil)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var got Key
		p := pool.From(Compose(&k, 0))
		if !Extract(p, 0, &got) || got != k {
			t.Errorf("%s\ncame back as %v", text, &got)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"eth(src=50:54:00:00:00:09":  "syntax error at eth(src=50:54:00:00:00:09",
		"foo(1)":                     "foo: syntax error at foo(1)",
		"5054":                       "syntax error at 5054",
		"eth(src=50:54:00:00:00:zz)": `eth: src: "50:54:00:00:00:zz" is no Ethernet address`,
		"eth(src=02:00:00:00:00:01,src=02:00:00:00:00:01)": "eth: syntax error at src=02:00:00:00:00:01",
		"in_port(nope)":                                 "in_port: nope: no such port",
		"vlan(vid=1)":                                   "vlan: needs an eth_type of 0x8100 or 0x88a8 before it",
		"eth_type(0x8100),vlan(vid=4096)":               `vlan: vid: "4096" is no number from 0 to 4095`,
		"encap(eth_type(1))":                            "encap: needs a vlan before it",
		"eth_type(0x0806),ipv4(frag=no)":                "ipv4: does not fit eth_type 0x0806",
		"eth_type(0x0800),ipv4(proto=6),udp(src=1)":     "udp: does not fit IP protocol 6",
		"eth_type(0x0800),ipv4(frag=maybe)":             "ipv4: frag: maybe: not no, first or later",
		"eth_type(0x0800),ipv4(src=fe80::1)":            `ipv4: src: "fe80::1" is no IPv4 address`,
		"eth_type(0x0800),ipv4(proto=6),tcp_flags(foo)": "tcp_flags: foo: unknown TCP flag",
		"ct_state(+trk)":                                "ct_state: +trk: not supported",
		"eth_type(0x8100),vlan(),encap(eth_type(0x8100),vlan(),encap(eth_type(0x8100),vlan()))": "encap: encap: vlan: more than 2 tags",
	} {
		if _, _, err := Parse(text, nil); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, file := range []string{"testdata/dump-flows.txt", "testdata/compose.txt"} {
		for _, l := range lines(f, file) {
			f.Add(l)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		k, m, err := Parse(text, nil)
		if err != nil {
			return
		}
		Compose(&k, 0)
		again := Format(&k, &m, Style{})
		k2, m2, err := Parse(again, nil)
		if err != nil {
			t.Fatalf("%s, printed as %s: %v", text, again, err)
		}
		if third := Format(&k2, &m2, Style{}); third != again {
			t.Fatalf("%s\nthen %s", again, third)
		}
	})
}

// TestMatch reads keys in the syntax of ovs-fields(7) and prints them again.
func TestMatch(t *testing.T) {
	resolve := func(name string) (PortNo, bool) { return 7, name == "p7" }
	for _, test := range []struct{ text, key, match string }{
		{"in_port=p7,tcp,nw_src=10.0.0.0/8,tp_dst=80,tcp_flags=+syn-ack",
			"tcp,in_port=X,vlan_tci=0x0000,dl_src=00:00:00:00:00:00,dl_dst=00:00:00:00:00:00,nw_src=10.0.0.0,nw_dst=0.0.0.0,nw_tos=0,nw_ecn=0,nw_ttl=0,nw_frag=no,tp_src=0,tp_dst=80,tcp_flags=syn",
			"eth,tcp,in_port=X,nw_src=10.0.0.0/8,tp_dst=80,tcp_flags=+syn-ack"},
		{"in_port(1) udp6 dl_vlan=5 dl_vlan_pcp=3 ipv6_dst=::1 nw_ttl=64",
			"udp6,in_port=X,dl_vlan=5,dl_vlan_pcp=3,vlan_tci1=0x0000,dl_src=00:00:00:00:00:00,dl_dst=00:00:00:00:00:00,ipv6_src=::,ipv6_dst=::1,ipv6_label=0x00000,nw_tos=0,nw_ecn=0,nw_ttl=64,nw_frag=no,tp_src=0,tp_dst=0",
			"eth,udp6,in_port=X,dl_vlan=5,dl_vlan_pcp=3,ipv6_dst=::1,nw_ttl=64"},
		{"arp,arp_op=1,arp_sha=00:00:00:00:00:01,eth_dst=01:00:00:00:00:00/01:00:00:00:00:00",
			"arp,in_port=X,vlan_tci=0x0000,dl_src=00:00:00:00:00:00,dl_dst=01:00:00:00:00:00,arp_spa=0.0.0.0,arp_tpa=0.0.0.0,arp_op=1,arp_sha=00:00:00:00:00:01,arp_tha=00:00:00:00:00:00",
			"eth,arp,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00,arp_op=1,arp_sha=00:00:00:00:00:01"},
		{"dl_type=0x0800,nw_proto=47,nw_tos=0x10,nw_frag=later,metadata=5,reg3=1,recirc_id=9",
			"ip,in_port=X,vlan_tci=0x0000,dl_src=00:00:00:00:00:00,dl_dst=00:00:00:00:00:00,nw_src=0.0.0.0,nw_dst=0.0.0.0,nw_proto=47,nw_tos=16,nw_ecn=0,nw_ttl=0,nw_frag=later",
			"recirc_id=0x9,eth,ip,nw_proto=47,nw_tos=16,nw_frag=later"},
		{"mplsm,mpls_label=100,mpls_bos=1",
			"mplsm,in_port=X,vlan_tci=0x0000,dl_src=00:00:00:00:00:00,dl_dst=00:00:00:00:00:00,mpls_label=100,mpls_tc=0,mpls_ttl=0,mpls_bos=1",
			"eth,mplsm,mpls_label=100,mpls_bos=1"},
		{"icmp6,icmp_type=135,nd_target=fe80::1",
			"icmp6,in_port=X,vlan_tci=0x0000,dl_src=00:00:00:00:00:00,dl_dst=00:00:00:00:00:00,ipv6_src=::,ipv6_dst=::,ipv6_label=0x00000,nw_tos=0,nw_ecn=0,nw_ttl=0,nw_frag=no,icmp_type=135,icmp_code=0,nd_target=fe80::1,nd_sll=00:00:00:00:00:00,nd_tll=00:00:00:00:00:00",
			"eth,icmp6,icmp_type=135,nd_target=fe80::1"},
		{"packet_type=(1,0x800),ip,nw_src=10.5.0.1,nw_ttl=64,tun_src=172.16.0.2,tun_dst=172.16.0.1,tun_id=2,tun_tos=0,tun_flags=-df-csum-key",
			"packet_type=(1,0x800),tun_id=0x2,tun_src=172.16.0.2,tun_dst=172.16.0.1,tun_ipv6_src=::,tun_ipv6_dst=::,tun_gbp_id=0,tun_gbp_flags=0,tun_tos=0,tun_ttl=0," +
				"tun_erspan_ver=0,gtpu_flags=0,gtpu_msgtype=0,tun_flags=0,in_port=X,nw_src=10.5.0.1,nw_dst=0.0.0.0,nw_proto=0,nw_tos=0,nw_ecn=0,nw_ttl=64,nw_frag=no",
			"packet_type=(1,0x800),ip,tun_id=0x2,tun_src=172.16.0.2,tun_dst=172.16.0.1,tun_tos=0,tun_flags=-df-csum-key,nw_src=10.5.0.1,nw_ttl=64"},
	} {
		k, m, err := ParseMatch(test.text, resolve)
		if err != nil {
			t.Errorf("%s: %v", test.text, err)
			continue
		}
		if got := FormatKey(&k, "X"); got != test.key {
			t.Errorf("%s: key\n got %s\nwant %s", test.text, got, test.key)
		}
		if got := FormatMatch(&k, &m, "X"); got != test.match {
			t.Errorf("%s: match\n got %s\nwant %s", test.text, got, test.match)
		}
	}
	for text, want := range map[string]string{
		"x=1":                    "unknown field x",
		"packet_type=(2,0x800)":  "bad value for packet_type ((2,0x800): not a packet type)",
		"packet_type=(0,0x800)":  "bad value for packet_type ((0,0x800): not a packet type)",
		"packet_type=1":          "bad value for packet_type (1: not a packet type)",
		"ip,tcp":                 "Ethernet type set multiple times",
		"tcp,dl_type=0x800":      "Ethernet type set multiple times",
		"in_port=nope":           "bad value for in_port (nope: invalid or unknown port for in_port)",
		"nw_ttl=300":             `bad value for nw_ttl ("300" is no number from 0 to 255)`,
		"nw_ecn=4":               "bad value for nw_ecn (4: not a value of this field)",
		"metadata=x":             `bad value for metadata ("x" is no number)`,
		"dl_src=00:00:00:00:0:1": `bad value for dl_src ("00:00:00:00:0:1" is no Ethernet address)`,
	} {
		if _, _, err := ParseMatch(text, resolve); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// FuzzMatch says that no text makes ParseMatch or the printers panic.
func FuzzMatch(f *testing.F) {
	f.Add("in_port=1,tcp,nw_src=10.0.0.0/8,tp_dst=80,tcp_flags=+syn")
	f.Add("dl_vlan=5,ipv6,ipv6_dst=::/64,reg15=1/3,metadata=1/0xff,ip_frag=yes")
	f.Add("vlan_tci=0x1000/0x1000 nw_tos=4/4 ct_zone=5")
	f.Add("packet_type=(1,0x800),ip,tun_src=1.1.1.1,tun_dst=1.1.1.2,tun_flags=+df-key,tun_ipv6_dst=fc00::/8")
	f.Fuzz(func(t *testing.T, text string) {
		k, m, err := ParseMatch(text, nil)
		if err != nil {
			return
		}
		FormatKey(&k, "1")
		FormatMatch(&k, &m, "1")
	})
}
