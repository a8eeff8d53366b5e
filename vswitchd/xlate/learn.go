package xlate

import (
	"govs/datapath/engine"
	"govs/datapath/flow"
	"govs/vswitchd/mac"
)

const (
	etherARP   = 0x0806
	arpRequest = 1
	arpReply   = 2
)

// learnSource notes where the packet's source is, now that there is a packet
// and later from the traffic of the megaflow.
func (w *walk) learnSource(br *bridge, p *port, vlan uint16) {
	if br.MACs == nil || w.key.EthSrc[0]&1 != 0 || w.bare || br.flood != nil && br.flood.has(vlan) {
		return
	}
	s := mac.Sighting{VLAN: vlan, MAC: w.key.EthSrc, Port: p.Name, Bond: len(p.ifaces) > 1}
	// What protects an address from moving concerns bonds only.
	if br.bonds {
		s.Gratuitous = w.gratuitous()
	}
	if w.learn {
		if br.MACs.Learn(s, w.now) && w.note != nil {
			w.says("-> learned that %s is on port %s in VLAN %d", mac.Text(s.MAC), p.Name, vlan)
		}
	}
	w.res.Credit = append(w.res.Credit, &learner{t: w.t, port: p, sight: s})
}

// gratuitous says whether the packet is a gratuitous ARP.
func (w *walk) gratuitous() bool {
	k := w.key
	if k.EthType != etherARP || k.EthDst != [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff} {
		return false
	}
	w.mask.Add(flow.Proto)
	switch k.Proto {
	case arpReply:
		return true
	case arpRequest:
		w.mask.Add(flow.IPv4Src | flow.IPv4Dst)
		return [4]byte(k.IPSrc[:4]) == [4]byte(k.IPDst[:4])
	}
	return false
}

// A learner refreshes a learned address by a megaflow's traffic.
type learner struct {
	t     *Translator
	port  *port
	sight mac.Sighting
}

// Credit implements engine.Creditor. A configuration that changed since the
// translation is respected: what left does not come back.
func (l *learner) Credit(_ *flow.Key, t engine.Traffic) {
	if t.Packets == 0 || t.Last.IsZero() {
		return
	}
	br := l.port.bridge
	if now := l.t.index.Load(); now != br.index {
		if br = now.bridges[l.port.bridge.Name]; br == nil || br.MACs != l.port.bridge.MACs {
			return
		}
		p := br.byName[l.port.Name]
		if p == nil || p.Mode != l.port.Mode || p.tag != l.port.tag || !p.carries(l.sight.VLAN) ||
			br.flood != nil && br.flood.has(l.sight.VLAN) {
			return
		}
	}
	br.MACs.Learn(l.sight, t.Last)
}

type (
	sent     Counters
	received Counters
)

// Credit implements engine.Creditor.
func (c *sent) Credit(_ *flow.Key, t engine.Traffic) {
	c.TxPackets.Add(t.Packets)
	c.TxBytes.Add(t.Bytes)
}

// Credit implements engine.Creditor.
func (c *received) Credit(_ *flow.Key, t engine.Traffic) {
	c.RxPackets.Add(t.Packets)
	c.RxBytes.Add(t.Bytes)
}
