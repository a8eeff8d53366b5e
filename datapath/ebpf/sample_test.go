package ebpf

import (
	"encoding/binary"
	"math"
	"sync"
	"testing"

	"govs/datapath/action"
	"govs/datapath/flow"
	"govs/datapath/header"
	"govs/datapath/port/porttest"
)

// A taker counts what it is shown, and looks at it.
type taker struct {
	t  *testing.T
	mu sync.Mutex
	n  int
	by map[flow.PortNo]int

	tagged, large int // with a tag; as long as an MTU of 1500 allows
}

func (h *taker) Sampled(s *action.Taken) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.n++
	h.by[s.In]++
	f := s.Packet.Bytes()
	at := 12
	if header.IsVLAN(binary.BigEndian.Uint16(f[at:])) {
		h.tagged++
		if vid := binary.BigEndian.Uint16(f[at+2:]) & 0xfff; vid != 7 {
			h.t.Errorf("VLAN %d was shown", vid)
		}
		at += 4
	}
	if len(f) == at+2+1500 {
		h.large++
	}
	if binary.BigEndian.Uint16(f[at:]) != header.TypeIPv4 {
		return
	}
	ip := header.IPv4(f[at+2:])
	if ip.TotalLen() > len(ip) || ip.TotalLen() > 1500 || header.Checksum(ip[:ip.HeaderLen()], 0) != 0 {
		h.t.Errorf("a header says %d bytes in a frame of %d, or its checksum is wrong", ip.TotalLen(), len(f))
		return
	}
	if ip.Proto() != header.ProtoTCP {
		return
	}
	payload := ip[ip.HeaderLen():ip.TotalLen()]
	if sum := header.Checksum(payload, header.PseudoSum(ip.Src(), ip.Dst(), ip.Proto(), len(payload))); sum != 0 {
		h.t.Errorf("checksum of protocol %d is wrong by %#x, in a frame of %d", ip.Proto(), sum, len(f))
	}
}

// TestShowMany leaves flows to the engine of which every packet is shown.
func TestShowMany(t *testing.T) {
	h := &taker{t: t, by: make(map[flow.PortNo]int)}
	w := newWorld(t, 2, true, func(k *flow.Key) (flow.Fields, []action.Action) {
		return flow.EthSrc | flow.EthDst, append([]action.Action{action.Show{Probability: math.MaxUint32, Cookie: action.SFlow{}, To: h}}, out(3-k.InPort)...)
	})
	if out, err := w.hosts[0].Run("ping", "-c", "5", "-i", "0.05", "192.0.2.2"); err != nil {
		t.Fatal(err, out)
	}
	w.e.Revalidate()
	var frames uint64
	for i := range 2 {
		s, _ := w.e.PortStats(flow.PortNo(1 + i))
		frames += s.RxPackets
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if w.e.Status().Front != 0 || h.n < 10 || uint64(h.n) > frames {
		t.Errorf("%d of %d frames were shown, %d took the fast way", h.n, frames, w.e.Status().Front)
	}
}

// TestShow has the kernel draw samples: of the packets that it forwards, and
// as they are between two actions.
func TestShow(t *testing.T) {
	const rate = 1000
	h := &taker{t: t, by: make(map[flow.PortNo]int)}
	show := func(c action.Cookie) action.Show {
		return action.Show{Probability: action.Share(rate), Cookie: c, To: h}
	}
	for _, tag := range []bool{false, true} {
		name := "as it came"
		if tag {
			name = "with a tag"
		}
		t.Run(name, func(t *testing.T) {
			*h = taker{t: t, by: make(map[flow.PortNo]int)}
			w := newWorld(t, 2, true, func(k *flow.Key) (flow.Fields, []action.Action) {
				acts := []action.Action{show(action.SFlow{Output: 9})}
				if tag {
					acts = []action.Action{
						action.PushVLAN{Tag: flow.VLAN{TPID: flow.TPID8021Q, TCI: 7 | flow.VLANPresent}}, show(action.IPFIX{Output: 3 - k.InPort}), action.PopVLAN{},
					}
				}
				return flow.EthSrc | flow.EthDst, append(acts, out(3-k.InPort)...)
			})
			porttest.IPerf(t, w.hosts[0], w.hosts[1], "192.0.2.2", "-t", "1")
			w.e.Revalidate()
			st, s := w.e.Status(), w.e.Flows()
			if st.Front < 1000 || st.Cached+st.Matched > st.Front/10 {
				t.Errorf("too little took the fast way: %+v", st)
			}
			frames := uint64(0)
			for f := range s {
				frames += f.Packets
			}
			w.e.SetFlowCache(nil)
			w.cache.Close() // so that all is read that is in the ring
			h.mu.Lock()
			defer h.mu.Unlock()
			want := float64(frames) / rate
			t.Logf("%d samples of %d frames, %d large, %d with a tag, %v", h.n, frames, h.large, h.tagged, h.by)
			// A large segment is shown once at the most, so a little less.
			if d := float64(h.n) - want; d > 8*math.Sqrt(want) || d < -0.5*want {
				t.Errorf("%d samples of %d frames; 1 in %d was asked for", h.n, frames, rate)
			}
			if h.large == 0 || h.by[1] == 0 || h.by[2] == 0 || tag && h.tagged != h.n || !tag && h.tagged != 0 {
				t.Errorf("%d large ones, %d with a tag of %d, by port %v", h.large, h.tagged, h.n, h.by)
			}
		})
	}
}
