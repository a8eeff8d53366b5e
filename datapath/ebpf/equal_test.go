package ebpf

import (
	"encoding/hex"
	"fmt"
	"hash/fnv"
	stdmaps "maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"govs/datapath/action"
	"govs/datapath/drop"
	"govs/datapath/engine"
	"govs/datapath/flow"
	"govs/datapath/header"
	"govs/datapath/packet"
	"govs/datapath/port"
	"govs/datapath/port/afpacket"
	"govs/datapath/port/porttest"
)

const equalPorts = 4

// A twin is an engine whose ports lead to one namespace, in which the test
// holds the far ends.
type twin struct {
	e   *engine.Engine
	far [equalPorts + 1]port.Port
	got chan string // "port: frame"
}

func newTwin(t *testing.T, cached bool, r rule) *twin {
	t.Helper()
	w := newWorld(t, 0, cached, r)
	w.hosts = append(w.hosts, porttest.NewNS(t))
	b := &twin{e: w.e, got: make(chan string, 1<<16)}
	for i := 1; i <= equalPorts; i++ {
		w.sw.Veth(fmt.Sprint("p", i), w.hosts[0], fmt.Sprint("h", i))
		w.hosts[0].Must(func() (err error) {
			b.far[i], err = afpacket.Open(fmt.Sprint("h", i), afpacket.Options{Pool: w.pool})
			return err
		})
		done := make(chan struct{})
		go func() {
			defer close(done)
			var batch packet.Batch
			for {
				batch.Reset()
				if err := b.far[i].Recv(&batch); err != nil {
					return
				}
				for _, p := range batch.Packets {
					o := p.Offload
					b.got <- fmt.Sprintf("%d: %x csum %v gso %d/%d", i, p.Bytes(), o.NeedsCsum, o.GSO, o.GSOSize)
					p.Free()
				}
			}
		}()
		t.Cleanup(func() { b.far[i].Close(); <-done })
		w.open(i)
	}
	return b
}

// take waits for n frames and returns them in order. What comes beyond them
// shows the next time.
func (b *twin) take(n int) (all []string) {
	timeout := time.After(10 * time.Second)
	for len(all) < n {
		select {
		case f := <-b.got:
			all = append(all, f)
		case <-timeout:
			return append(all, fmt.Sprintf("%d frames are missing", n-len(all)))
		}
	}
	slices.Sort(all)
	return all
}

// randomActions are some outputs, with tags pushed and popped between them, or
// a drop.
func randomActions(r *rand.Rand) (list []action.Action) {
	if r.IntN(8) == 0 {
		return []action.Action{action.Drop{Reason: drop.BadVLAN}}
	}
	if r.IntN(8) == 0 {
		return nil
	}
	pushed := 0
	for range 1 + r.IntN(6) {
		switch r.IntN(7) {
		case 0:
			if pushed++; pushed > 2 {
				continue // the kernel drops a large segment with three
			}
			tpid := []uint16{0, flow.TPID8021Q, flow.TPID8021AD}[r.IntN(3)]
			list = append(list, action.PushVLAN{Tag: flow.VLAN{TPID: tpid, TCI: uint16(r.IntN(1<<16)) | flow.VLANPresent}})
		case 1:
			list = append(list, action.PopVLAN{})
		case 2, 3:
			list = append(list, randomSet(r))
		default:
			list = append(list, action.Output{Port: flow.PortNo(1 + r.IntN(equalPorts))})
		}
	}
	return list
}

// randomSet writes to some fields of a header, that packets may have or not.
func randomSet(r *rand.Rand) action.Action {
	a := action.Set{Group: []string{"eth", "ipv4", "ipv6", "tcp", "udp"}[r.IntN(5)]}
	k := &a.Key
	for i := range 6 {
		k.EthSrc[i], k.EthDst[i] = byte(r.IntN(256)), byte(r.IntN(256))
	}
	for i := range 16 {
		k.IPSrc[i], k.IPDst[i] = byte(r.IntN(256)), byte(r.IntN(256))
	}
	k.TOS, k.TTL, k.TPSrc, k.TPDst = uint8(r.IntN(256)), uint8(r.IntN(256)), uint16(r.IntN(1<<16)), uint16(r.IntN(1<<16))
	of := map[string][]flow.Fields{
		"eth": {flow.EthSrc, flow.EthDst}, "ipv4": {flow.IPv4Src, flow.IPv4Dst, flow.TOS, flow.TTL},
		"ipv6": {flow.IPv6Src, flow.IPv6Dst, flow.TOS, flow.TTL}, "tcp": {flow.TPSrc, flow.TPDst}, "udp": {flow.TPSrc, flow.TPDst},
	}[a.Group]
	a.Mask.Add(of[r.IntN(len(of))])
	for _, f := range of {
		if r.IntN(2) == 0 {
			a.Mask.Add(f)
		}
	}
	return a
}

// decide gives packets that agree in some fields the same random actions.
// Which fields those are depends on fields that are among them.
func decide(k *flow.Key) (flow.Fields, []action.Action) {
	look := flow.InPort | flow.EthType | flow.EthDst
	h := fnv.New64a()
	fmt.Fprint(h, k.InPort, k.EthType, k.EthDst, k.VLAN[0].Present(), k.VLAN[1].Present(), k.Frag)
	if k.EthDst[0]&2 != 0 {
		look |= flow.OuterTag
		fmt.Fprint(h, k.VLAN[0])
	}
	if k.EthDst[0]&8 == 0 {
		look |= flow.Proto
		fmt.Fprint(h, k.Proto)
	}
	if k.EthDst[0]&4 != 0 && k.EthType == typeIPv4 {
		look |= flow.TOS | flow.Proto
		fmt.Fprint(h, k.TOS, k.Proto)
	}
	return look, randomActions(rand.New(rand.NewPCG(h.Sum64(), 1)))
}

// stations are few, so that many packets share a megaflow.
var stations = func() (all [12][]byte) {
	for i := range all {
		all[i] = []byte{byte(i), 1, 2, 3, 4, 5}
	}
	return all
}()

// taggedFrame is a random frame, often with tags.
func taggedFrame(r *rand.Rand) []byte {
	f := randomFrame(r)
	for range r.IntN(3) {
		tag := []byte{0x81, 0, byte(r.IntN(256)), byte(r.IntN(3))}
		if r.IntN(3) == 0 {
			tag[0], tag[1] = 0x88, 0xa8
		}
		f = slices.Insert(f, 12, tag...)
	}
	return f
}

// large is a large segment of TCP as a host gives it to its device.
func large(pool *packet.Pool, r *rand.Rand) *packet.Packet {
	n := 1 + r.IntN(20000)
	f := make([]byte, 14+20+20+n)
	for i := range 12 {
		f[i] = byte(r.IntN(256))
	}
	f[0] &^= 1
	be.PutUint16(f[12:], typeIPv4)
	ip := f[14:]
	ip[0], ip[8], ip[9] = 0x45, 64, 6
	be.PutUint16(ip[2:], uint16(len(ip)))
	copy(ip[12:], []byte{192, 0, 2, 1, 192, 0, 2, 2})
	ip[32], ip[33] = 5<<4, 0x18
	be.PutUint16(ip[10:], header.Checksum(ip[:20], 0))
	be.PutUint16(ip[36:], ^header.Fold(header.PseudoSum(ip[12:16], ip[16:20], protoTCP, len(ip)-20)))
	p := pool.From(f)
	p.Offload = packet.Offload{
		NeedsCsum: true, CsumStart: 34, CsumOffset: 16,
		GSO: packet.GSOTCPv4, GSOSize: 1000, HdrLen: 54,
	}
	if n <= 1000 {
		p.Offload.GSO, p.Offload.GSOSize, p.Offload.HdrLen = 0, 0, 0
	}
	return p
}

// flowCounters is what an engine says of its megaflows.
func flowCounters(e *engine.Engine) map[string]string {
	all := make(map[string]string)
	for f := range e.Flows() {
		all[f.UFID()] = fmt.Sprintf("packets:%d bytes:%d flags:%x %s", f.Packets, f.Bytes, f.TCPFlags, action.Join(f.Actions))
	}
	return all
}

// TestEqual sends the same random packets through an engine with the cache and
// through one without. What comes out, and every counter, is the same.
func TestEqual(t *testing.T) {
	fast, slow := newTwin(t, true, decide), newTwin(t, false, decide)
	r := rand.New(rand.NewPCG(3, 4))
	var pool packet.Pool
	type sent struct {
		in int
		p  *packet.Packet
		n  int // of outputs
	}
	var all []sent
	for len(all) < 120 {
		s := sent{in: 1 + r.IntN(equalPorts)}
		if r.IntN(6) == 0 {
			s.p = large(&pool, r)
		} else if f := taggedFrame(r); len(f) >= 60 {
			s.p = pool.From(f)
		} else {
			continue // where tags are cut off the kernel drops
		}
		copy(s.p.Bytes(), stations[r.IntN(len(stations))])
		var k flow.Key
		flow.Extract(s.p, flow.PortNo(s.in), &k)
		_, actions := decide(&k)
		for _, a := range actions {
			if _, ok := a.(action.Output); ok {
				s.n++
			}
		}
		all = append(all, s)
	}
	for round := range 4 {
		for i, s := range all {
			for _, b := range []*twin{fast, slow} {
				if err := b.far[s.in].Send(&packet.Batch{Packets: []*packet.Packet{s.p}}); err != nil {
					t.Fatal(err)
				}
			}
			got, want := fast.take(s.n), slow.take(s.n)
			if !slices.Equal(got, want) || len(got) > 0 && strings.HasSuffix(got[len(got)-1], "missing") {
				var k flow.Key
				flow.Extract(s.p, flow.PortNo(s.in), &k)
				_, actions := decide(&k)
				t.Fatalf("round %d, frame %d into port %d: %s\n%s\nfast:\n%s\nslow:\n%s", round, i, s.in,
					hex.EncodeToString(s.p.Bytes()), action.Join(actions), strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
	}
	// Nothing tells when a packet that goes nowhere was dropped.
	var f, s map[string]string
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		fast.e.Revalidate()
		slow.e.Revalidate()
		f, s = flowCounters(fast.e), flowCounters(slow.e)
		if stdmaps.Equal(f, s) || time.Now().After(end) {
			break
		}
	}
	if !stdmaps.Equal(f, s) {
		for id := range s {
			if f[id] != s[id] {
				t.Errorf("megaflow %s\nfast %s\nslow %s", id, f[id], s[id])
			}
		}
	}
	for _, reason := range drop.Reasons() {
		if f, s := fast.e.Drops().Total(reason), slow.e.Drops().Total(reason); f != s {
			t.Errorf("%v: fast %d, slow %d", reason, f, s)
		}
	}
	for no := flow.PortNo(1); no <= equalPorts; no++ {
		f, _ := fast.e.PortStats(no)
		s, _ := slow.e.PortStats(no)
		if f != s {
			t.Errorf("port %d:\nfast %+v\nslow %+v", no, f, s)
		}
	}
	st := fast.e.Status()
	t.Logf("%+v", st)
	if st.Front < uint64(len(all)) {
		t.Errorf("too little took the fast way: %+v", st)
	}
}
