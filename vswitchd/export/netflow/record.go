package netflow

import (
	"encoding/binary"
	"time"
)

// Sizes of NetFlow version 5 in bytes, and the most records of a datagram.
const (
	headerLen  = 24
	recordLen  = 48
	maxRecords = 30
)

// A Flow is what tells flows apart.
type Flow struct {
	In       uint16 // OpenFlow port number
	Src, Dst [4]byte
	SrcPort  uint16
	DstPort  uint16 // type and code for ICMP
	Proto    uint8
	TOS      uint8 // without the ECN bits
}

// A record is a flow's traffic, ready to be told of. Packets and bytes fit
// 32 bits.
type record struct {
	Flow
	out         uint16
	packets     uint32
	bytes       uint32
	first, last time.Time
	flags       uint8
}

// millis is a time in milliseconds since boot, modulo 2^32, as SysUptime.
func millis(t, boot time.Time) uint32 { return uint32(max(t.Sub(boot), 0).Milliseconds()) }

// iface is the interface number of an OpenFlow port: the port's own, or nine
// bits of it below seven of the engine id.
func (s *Settings) iface(port uint16) uint16 {
	if !s.AddIDToInterface {
		return port
	}
	return uint16(s.EngineID&0x7f)<<9 | port&0x1ff
}

// append encodes up to maxRecords records behind a header. seq is the number
// of records that went out before.
func (s *Settings) append(b []byte, recs []record, seq uint32, boot, now time.Time) []byte {
	be := binary.BigEndian
	b = be.AppendUint16(b, 5)
	b = be.AppendUint16(b, uint16(len(recs)))
	b = be.AppendUint32(b, millis(now, boot))
	b = be.AppendUint32(b, uint32(now.Unix()))
	b = be.AppendUint32(b, uint32(now.Nanosecond()))
	b = be.AppendUint32(b, seq)
	b = append(b, s.EngineType, s.EngineID)
	b = be.AppendUint16(b, 0) // no sampling
	for i := range recs {
		r := &recs[i]
		b = append(b, r.Src[:]...)
		b = append(b, r.Dst[:]...)
		b = be.AppendUint32(b, 0) // next hop
		b = be.AppendUint16(b, s.iface(r.In))
		b = be.AppendUint16(b, s.iface(r.out))
		b = be.AppendUint32(b, r.packets)
		b = be.AppendUint32(b, r.bytes)
		b = be.AppendUint32(b, millis(r.first, boot))
		b = be.AppendUint32(b, millis(r.last, boot))
		b = be.AppendUint16(b, r.SrcPort)
		b = be.AppendUint16(b, r.DstPort)
		b = append(b, 0, r.flags, r.Proto, r.TOS)
		b = append(b, 0, 0, 0, 0, 0, 0, 0, 0) // AS numbers, prefix lengths, padding
	}
	return b
}
