package packet

import (
	"encoding/binary"

	"govs/datapath/header"
)

// CompleteChecksum does what Offload.NeedsCsum left undone: it replaces the
// pseudo header's sum in the packet by the checksum. It does nothing where
// nothing is to be done. The error is ErrOffload where the offsets lie outside
// the frame, or the packet is a large segment: Segment does those.
func CompleteChecksum(p *Packet) error {
	o := &p.Offload
	if o.GSO != GSONone {
		return ErrOffload
	}
	if !o.NeedsCsum {
		return nil
	}
	f := p.Bytes()
	start, at := int(o.CsumStart), int(o.CsumStart)+int(o.CsumOffset)
	if at+2 > len(f) {
		return ErrOffload
	}
	c := header.Checksum(f[start:], 0)
	if c == 0 && o.CsumOffset == 6 {
		c = 0xffff // RFC 768: a UDP checksum of 0 means none
	}
	binary.BigEndian.PutUint16(f[at:], c)
	p.Offload = Offload{CsumValid: true}
	return nil
}
