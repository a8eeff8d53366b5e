package action

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"

	"govs/datapath/drop"
	"govs/datapath/flow"
	"govs/datapath/tunnel"
)

func tag(tpid, tci uint16) PushVLAN {
	return PushVLAN{flow.VLAN{TPID: tpid, TCI: tci | flow.VLANPresent}}
}

// The texts are those of dpctl/dump-flows of Open vSwitch 3.1.0, but for the
// reason of a drop.
func TestTextAndBack(t *testing.T) {
	for text, list := range map[string][]Action{
		"drop":  nil,
		"2,100": {Output{2}, Output{100}},
		"pop_vlan,3,push_vlan(vid=10,pcp=3),2,100":        {PopVLAN{}, Output{3}, tag(0x8100, 0x600a), Output{2}, Output{100}},
		"push_vlan(tpid=0x88a8,vid=9,pcp=0),3":            {tag(0x88a8, 9), Output{3}},
		"trunc(100),3,2":                                  {Truncate{100}, Output{3}, Output{2}},
		"2,lb_output(7)":                                  {Output{2}, LBOutput{7}},
		"set(skb_priority(0x1)),2,set(skb_priority(0)),3": {SetPriority{1}, Output{2}, SetPriority{0}, Output{3}},
		"meter(5),recirc(0x7)":                            {Meter{5}, Recirc{7}},
		"push_mpls(label=100,tc=3,ttl=64,bos=1,eth_type=0x8847),pop_mpls(eth_type=0x800),1": {PushMPLS{100<<12 | 3<<9 | 1<<8 | 64, 0x8847}, PopMPLS{0x0800}, Output{1}},
		"clone(1,push_vlan(vid=1,pcp=0),2),3":                                               {Clone{[]Action{Output{1}, tag(0x8100, 1), Output{2}}}, Output{3}},
		"sample(sample=33.3%,actions(clone(drop),2))":                                       {Sample{1430224109, []Action{Clone{}, Output{2}}}},
		"userspace(pid=0,sFlow(vid=10,pcp=3,output=2147483650),actions),2": {
			Show{Probability: math.MaxUint32, Cookie: SFlow{TCI: 0x600a, Output: 0x80000002}}, Output{2}},
		"userspace(pid=0,ipfix(output_port=4294967295)),userspace(pid=0,ipfix(output_port=2)),2": {
			Show{Probability: math.MaxUint32, Cookie: IPFIX{Output: NoOutput}}, Show{Probability: math.MaxUint32, Cookie: IPFIX{Output: 2}}, Output{2}},
		"sample(sample=50.0%,actions(userspace(pid=0,sFlow(vid=0,pcp=0,output=22),actions))),2": {
			Show{Probability: Share(2), Cookie: SFlow{Output: 22}}, Output{2}},
		"userspace(pid=0,flow_sample(probability=65535,collector_set_id=5,obs_domain_id=1,obs_point_id=2,output_port=4294967295)),2": {
			Show{Probability: math.MaxUint32, Cookie: FlowSample{65535, 5, 1, 2, NoOutput, ""}}, Output{2}},
		"sample(sample=50.0%,actions(userspace(pid=0,flow_sample(probability=32768,collector_set_id=5,obs_domain_id=3,obs_point_id=4,output_port=2,egress)))),2": {
			Show{Probability: Share(2), Cookie: FlowSample{32768, 5, 3, 4, 2, "egress"}}, Output{2}},
		"userspace(pid=0,slow_path(action))": {Userspace{}},
		"tnl_pop(4789)":                      {TunnelPop{Port: 4789}},
		"clone(tnl_push(tnl_port(2),header(size=42,type=3,eth(dst=00:00:00:00:00:01,src=00:00:00:00:00:02,dl_type=0x0800)," +
			"ipv4(src=1.1.2.88,dst=1.1.2.92,proto=47,tos=0,ttl=64,frag=0x4000),gre((flags=0x2000,proto=0x6558),key=0x1c8)),out_port(100)),1),2": {
			Clone{[]Action{TunnelPush{tunnel.Header{Kind: tunnel.GRE, EthDst: [6]byte{5: 1}, EthSrc: [6]byte{5: 2}, Src: netip.MustParseAddr("1.1.2.88"), Dst: netip.MustParseAddr("1.1.2.92"),
				TTL: 64, DF: true, HasKey: true, Key: 456}, 2, 100}, Output{1}}}, Output{2}},
		"push_eth(src=50:54:00:00:00:01,dst=00:00:00:00:00:00),2,pop_eth": {PushEth{Src: [6]byte{0x50, 0x54, 5: 1}}, Output{2}, PopEth{}},
		"drop(drop_action_vlan)": {Drop{drop.BadVLAN}},
	} {
		if got := Join(list); got != text {
			t.Errorf("printed as %s, want %s", got, text)
		}
		if got := Format(list, nil); got != strings.TrimSuffix(text, "(drop_action_vlan)") {
			t.Errorf("printed as %s", got)
		}
		back, err := Parse(text, nil)
		if err != nil || !Equal(back, list) {
			t.Errorf("%s: read as %v, %v", text, back, err)
		}
	}
}

func TestNames(t *testing.T) {
	name := func(no flow.PortNo) string {
		if no == 3 {
			return ""
		}
		return fmt.Sprintf("veth%d", no)
	}
	if got := Format([]Action{Show{Cookie: IPFIX{Output: 2}}, Drop{drop.BadVLAN}}, name); got != "sample(sample=0.0%,actions(userspace(pid=0,ipfix(output_port=veth2))))" {
		t.Error(got)
	}
	list := []Action{Output{2}, Output{3}}
	if got := Format(list, name); got != "veth2,3" {
		t.Error(got)
	}
	back, err := Parse("veth2,3", func(s string) (flow.PortNo, bool) { return 2, s == "veth2" })
	if err != nil || !Equal(back, list) {
		t.Errorf("%v, %v", back, err)
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                ": unknown action or port",
		"veth0":                           "veth0: unknown action or port",
		"set(eth(src=1))":                 `set: src: "1" is no Ethernet address`,
		"set(ipv4(proto=1))":              "set: ipv4(proto=1): a field that cannot be set",
		"set(vlan(vid=1))":                "set: vlan(vid=1): not a header of which fields are set",
		"set(skb_priority(1)":             `set: skb_priority: bad value "1"`,
		"set(skb_priority(x))":            `set: skb_priority: bad value "x"`,
		"set(skb_priority(0x100000000))":  `set: skb_priority: bad value "0x100000000"`,
		"push_eth(src=00:00:00:00:00:01)": "push_eth: src=00:00:00:00:00:01: not src=ADDRESS,dst=ADDRESS",
		"push_eth()":                      "push_eth: : not src=ADDRESS,dst=ADDRESS",
		"pop_eth()":                       "pop_eth: unknown action",
		"pop_mpls()":                      "pop_mpls: : unknown or repeated argument",
		"push_mpls(label=1)":              "push_mpls: label=1: an argument is missing",
		"push_mpls(label=1,tc=0,ttl=0,bos=0,eth_type=0x800)": "push_mpls: eth_type 0x800 is none of MPLS",
		"meter(x)":                       `meter: bad number "x"`,
		"recirc()":                       `recirc: bad number ""`,
		"sample(1)":                      "sample: 1: not sample=P%,actions(...)",
		"sample(sample=101%,actions(1))": "sample: sample=101%,actions(1): not sample=P%,actions(...)",
		"tnl_pop(x)":                     "tnl_pop: x: unknown port",
		"tnl_push(1)":                    "tnl_push: 1: not tnl_port(N),header(...),out_port(N)",
		"tnl_push(tnl_port(1),header(size=1),out_port(2))": "tnl_push: header(size=1): not a header of tnl_push",
		"nonsense(1)":                  "nonsense: unknown action",
		"push_vlan(vid=1":              "push_vlan(vid=1: missing )",
		"push_vlan(pcp=1)":             "push_vlan: no vid",
		"push_vlan(vid=4096)":          `push_vlan: vid: bad value "4096"`,
		"push_vlan(vid=1,vid=2)":       "push_vlan: vid: unknown or repeated argument",
		"push_vlan(vid=1,tpid=0x8100,": "push_vlan(vid=1,tpid=0x8100,: missing )",
		"trunc(13)":                    `trunc: bad length "13"`,
		"lb_output(x)":                 `lb_output: bad bond "x"`,
		"drop(nope)":                   "nope: unknown drop reason",
		"1,,2":                         ": unknown action or port",
	} {
		if list, err := Parse(text, nil); err == nil || err.Error() != want {
			t.Errorf("%s: %v, %v, want %s", text, list, err, want)
		}
	}
}

// TestSetText says that set actions are printed as C prints them, and read
// back to the same.
func TestSetText(t *testing.T) {
	for _, text := range []string{
		"set(eth(src=00:00:00:00:00:01,dst=00:00:00:00:00:02))", "set(eth(src=00:00:00:00:00:00/ff:ff:ff:00:00:00))",
		"set(ipv4(src=1.2.3.4,dst=1.2.3.5,tos=0x10,ttl=63))", "set(ipv4(src=1.2.3.0/255.255.255.0))", "set(ipv4(ttl=63))",
		"set(ipv6(src=::1,dst=::2/::ffff,label=0x5,tclass=0x10,hlimit=3))", "set(tcp(src=80,dst=80/0xff))", "set(udp(dst=80))",
		"set(sctp(dst=80))", "set(icmp(type=8,code=0))", "set(icmpv6(type=8))",
		"set(arp(sip=1.2.3.4,tip=1.2.3.5,op=2,sha=00:00:00:00:00:01,tha=00:00:00:00:00:02))", "set(nd(target=::1,sll=00:00:00:00:00:01))",
		"set(mpls(label=100,tc=3,ttl=64,bos=1))", "set(mpls(label=100/0xfffff,tc=0/0,ttl=0/0x0,bos=0/0))", "set(skb_mark(0x5))", "set(skb_mark(0x5/0xff))",
	} {
		list, err := Parse(text, nil)
		if err != nil || Join(list) != text {
			t.Errorf("%s: printed as %s, %v", text, Join(list), err)
		}
		back, err := Parse(Join(list), nil)
		if err != nil || !Equal(list, back) {
			t.Errorf("%s: not read back: %v", text, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"drop", "1,2", "pop_vlan,3,push_vlan(vid=10,pcp=3),2", "push_vlan(tpid=0x88a8,vid=9,pcp=0),3", "drop(drop_action_vlan)", "trunc(100),3", "lb_output(7)",
		"set(ipv4(src=1.2.3.4,ttl=3/7))", "sample(sample=0.01%,actions(clone(1),2))", "meter(1),recirc(0x1)", "pop_mpls(eth_type=0x800)",
		"sample(sample=0.25%,actions(userspace(pid=0,sFlow(vid=1,pcp=2,output=3),actions)))", "userspace(pid=0,ipfix(output_port=1))",
		"push_mpls(label=100,tc=3,ttl=64,bos=1,eth_type=0x8847)", "set(mpls(label=5))", "set(skb_mark(5/7))",
		"userspace(pid=0,flow_sample(probability=1,collector_set_id=5,obs_domain_id=3,obs_point_id=4,output_port=2,egress))"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := Parse(text, nil)
		if err != nil {
			return
		}
		again := Join(list)
		back, err := Parse(again, nil)
		if err != nil || !Equal(back, list) && again != "drop" {
			t.Errorf("%s: printed as %s, read as %v, %v", text, again, back, err)
		}
	})
}
