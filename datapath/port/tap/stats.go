package tap

import "govs/datapath/port"

// Stats implements port.Port. What the host transmits on the device is what
// the switch receives, so the device's own counters count the other way
// round. A large segment counts once, as the kernel counts it.
func (p *Port) Stats() port.Stats {
	r, t := &p.rx, &p.tx
	s := port.Stats{
		RxPackets:  r.packets.Load(),
		RxBytes:    r.bytes.Load(),
		RxErrors:   r.errors.Load(),
		RxFrameErr: r.frame.Load(),
		TxPackets:  t.packets.Load(),
		TxBytes:    t.bytes.Load(),
		TxDropped:  t.dropped.Load(),
		TxErrors:   t.errors.Load(),
	}
	if c, ok := p.Counted(); ok && !p.closed.Load() {
		// The host's queue was full: the switch read too slowly.
		s.RxDropped = c.TxDropped
		s.RxErrors += c.TxErrors
		s.TxDropped += c.RxDropped
	}
	return s
}
