package engine

import (
	"math/rand/v2"
	"slices"
	"testing"

	"govs/datapath/action"
	"govs/datapath/flow"
	"govs/datapath/port/dummy"
)

// A tree is a translation made at random: it looks at a field, and goes on by
// what it finds, until it comes to an output.
type tree struct {
	field flow.Fields
	get   func(*flow.Key) int
	below []*tree
	out   []flow.PortNo
}

var looks = []struct {
	field flow.Fields
	get   func(*flow.Key) int
}{
	{flow.EthDst, func(k *flow.Key) int { return int(k.EthDst[5]) }},
	{flow.EthSrc, func(k *flow.Key) int { return int(k.EthSrc[5]) }},
	{flow.VLANVID, func(k *flow.Key) int { return int(k.VLAN[0].VID()) }},
	{flow.VLANPCP, func(k *flow.Key) int { return int(k.VLAN[0].PCP()) }},
	{flow.IPv4Src, func(k *flow.Key) int { return int(k.IPSrc[3]) }},
	{flow.Proto, func(k *flow.Key) int { return int(k.Proto) }},
	{flow.TPDst, func(k *flow.Key) int { return int(k.TPDst) }},
	{flow.InPort, func(k *flow.Key) int { return int(k.InPort) }},
}

func grow(r *rand.Rand, depth int) *tree {
	t := &tree{}
	if depth == 0 || r.IntN(6) == 0 {
		for no := flow.PortNo(1); no <= 4; no++ {
			if r.IntN(3) == 0 {
				t.out = append(t.out, no)
			}
		}
		return t
	}
	look := looks[r.IntN(len(looks))]
	t.field, t.get = look.field, look.get
	for range 2 {
		t.below = append(t.below, grow(r, depth-1))
	}
	return t
}

func (t *tree) decide(k *flow.Key) (flow.Fields, []flow.PortNo) {
	var fields flow.Fields
	for t.below != nil {
		fields |= t.field
		t = t.below[t.get(k)%len(t.below)]
	}
	return fields, t.out
}

// Whatever is cached, each packet goes where a translation of its own would
// have sent it.
func TestCachesNeverChangeWhatIsDone(t *testing.T) {
	for seed := range uint64(10) {
		r := rand.New(rand.NewPCG(seed, 1))
		rig := newRig(t, 4, Options{}, dummy.Options{})
		now := grow(r, 5)
		use := func(tr *tree) {
			now = tr
			rig.table.set(func(k *flow.Key) (flow.Fields, []action.Action) {
				fields, ports := tr.decide(k)
				return fields, to(ports...)
			})
		}
		use(now)
		var packets uint64
		for step := range 1500 {
			if step%300 == 299 {
				use(grow(r, 5))
				rig.Changed()
				rig.Revalidate()
			}
			k := flow.Key{EthType: 0x800, Proto: []uint8{6, 17}[r.IntN(2)], TPDst: uint16(r.IntN(3)), TTL: uint8(r.IntN(3))}
			k.EthDst[5], k.EthSrc[5], k.IPSrc[3] = byte(r.IntN(3)), byte(r.IntN(3)), byte(r.IntN(3))
			if r.IntN(2) == 0 {
				k.VLAN[0] = flow.VLAN{TPID: flow.TPID8021Q, TCI: flow.VLANPresent | uint16(r.IntN(2)) | uint16(r.IntN(2))<<13}
			}
			in := 1 + r.IntN(4)
			if err := rig.ports[in].Receive(flow.Compose(&k, 60)); err != nil {
				t.Fatal(err)
			}
			rig.wait(in)
			packets++
			k.InPort = flow.PortNo(in)
			_, ports := now.decide(&k)
			want := make([]int, 4)
			for _, no := range ports {
				want[no-1] = 1
			}
			if got := rig.sent(); !slices.Equal(got, want) {
				t.Fatalf("seed %d, step %d: %v\nwent to %v, want %v", seed, step, &k, got, want)
			}
		}
		rig.Flush()
		if c := rig.table.credited; c.Packets != packets {
			t.Errorf("seed %d: %d packets were credited, want %d", seed, c.Packets, packets)
		}
		if s := rig.Status(); s.Cached == 0 || s.Missed == packets {
			t.Errorf("seed %d: nothing came from a cache: %+v", seed, s)
		}
	}
}
