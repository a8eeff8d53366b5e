package xlate

import (
	"math"
	"testing"

	"govs/datapath/action"
	"govs/datapath/drop"
	"govs/datapath/flow"
)

type taker bool

func (*taker) Sampled(*action.Taken) {}

// What the samplers of two bridges add to the actions, as in the C switch:
// sFlow and IPFIX's input are those of the bridge that a packet comes into,
// IPFIX's output those of the bridge that it leaves.
func TestSamples(t *testing.T) {
	const all = math.MaxUint32
	to := new(taker)
	key := func(in flow.PortNo, src, dst byte) *flow.Key {
		return &flow.Key{InPort: in, EthType: 0x1234, EthSrc: [6]byte{0, 0, 0, 0, 0, src}, EthDst: [6]byte{0, 0, 0, 0, 0, dst}}
	}
	port := func(name string, no flow.PortNo, peer string, tag int) *Port {
		mode := Trunk
		if tag > 0 {
			mode = Access
		}
		return &Port{Name: name, Mode: mode, Tag: tag, Interfaces: []Interface{{Name: name, No: no, Peer: peer, Ifindex: int(no) * 10}}}
	}
	bridges := func() (a, b *Bridge) {
		return &Bridge{Name: "a", Ports: []*Port{port("a1", 1, "", 0), port("a2", 2, "", 5), port("pa", 0, "pb", 0)}},
			&Bridge{Name: "b", Ports: []*Port{port("b3", 3, "", 0), port("pb", 0, "pa", 0)}}
	}
	for _, c := range []struct {
		name string
		set  func(a, b *Bridge)
		key  *flow.Key
		want string
	}{
		{"nothing", func(_, _ *Bridge) {}, key(1, 1, 2), "3"},
		{"sFlow, a tag", func(a, _ *Bridge) { a.SFlow = &SFlow{all, to} }, key(2, 1, 2),
			"userspace(pid=0,sFlow(vid=5,pcp=0,output=2147483650),actions),push_vlan(vid=5,pcp=0),1,3"},
		{"sFlow, one output", func(a, _ *Bridge) { a.SFlow = &SFlow{all, to} }, key(1, 1, 2),
			"userspace(pid=0,sFlow(vid=0,pcp=0,output=30),actions),3"},
		{"sFlow at the far end", func(_, b *Bridge) { b.SFlow = &SFlow{all, to} }, key(1, 1, 2), "3"},
		{"IPFIX", func(a, b *Bridge) {
			a.IPFIX, b.IPFIX = &IPFIX{all, true, true, to}, &IPFIX{action.Share(4), true, true, to}
		}, key(1, 1, 2),
			"userspace(pid=0,ipfix(output_port=4294967295)),sample(sample=25.0%,actions(userspace(pid=0,ipfix(output_port=3)))),3"},
		{"IPFIX, input only", func(a, b *Bridge) { a.IPFIX, b.IPFIX = &IPFIX{all, true, false, to}, &IPFIX{all, true, false, to} }, key(1, 1, 2),
			"userspace(pid=0,ipfix(output_port=4294967295)),3"},
		{"both, dropped", func(a, _ *Bridge) {
			a.SFlow, a.IPFIX, a.FailSecure = &SFlow{all, to}, &IPFIX{all, true, true, to}, true
		}, key(1, 1, 2),
			"userspace(pid=0,sFlow(vid=0,pcp=0,output=1073742080),actions),userspace(pid=0,ipfix(output_port=4294967295))," + action.Drop{Reason: drop.Forwarding}.String()},
	} {
		a, b := bridges()
		c.set(a, b)
		tr := New()
		tr.Set(&Config{Bridges: []*Bridge{a, b}})
		got := action.Join(ask(tr, c.key).Actions)
		if got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, got, c.want)
		}
	}
}
