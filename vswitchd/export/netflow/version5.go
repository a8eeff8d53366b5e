package netflow

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"time"
)

// Sizes of NetFlow version 5 in bytes, and the most records of a datagram.
const (
	headerLen  = 24
	recordLen  = 48
	maxRecords = 30
)

// version5 encodes the due records in datagrams of version 5.
func (c *Cache) version5(now time.Time) (out [][]byte) {
	var list []record
	for _, r := range c.due {
		c.exported.add(&r)
		list = r.split(list)
	}
	// Without templates there is nothing to order by but time.
	slices.SortStableFunc(list, func(a, b record) int { return cmp.Or(a.last.Compare(b.last), a.compare(b)) })
	for recs := range slices.Chunk(list, maxRecords) {
		out = append(out, c.set.append(nil, recs, c.seq, c.boot, now))
		c.seq += uint32(len(recs))
	}
	return out
}

// split appends the record to a list, as several where 32 bits do not hold the
// counters. Packets and bytes are spread so that each record shows about the
// mean size.
func (r record) split(list []record) []record {
	const most = math.MaxUint32
	packets, bytes := r.packets, r.bytes
	for n := max((packets+most-1)/most, (bytes+most-1)/most); n > 0; n-- {
		r.packets, r.bytes = packets/n, bytes/n
		packets -= r.packets
		bytes -= r.bytes
		list = append(list, r)
	}
	return list
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
		b = append(b, r.Src[:4]...)
		b = append(b, r.Dst[:4]...)
		b = be.AppendUint32(b, 0) // next hop
		b = be.AppendUint16(b, s.iface(r.In))
		b = be.AppendUint16(b, s.iface(r.out))
		b = be.AppendUint32(b, uint32(r.packets))
		b = be.AppendUint32(b, uint32(r.bytes))
		b = be.AppendUint32(b, millis(r.first, boot))
		b = be.AppendUint32(b, millis(r.last, boot))
		b = be.AppendUint16(b, r.SrcPort)
		b = be.AppendUint16(b, r.DstPort)
		b = append(b, 0, r.flags, r.Proto, r.TOS)
		b = append(b, 0, 0, 0, 0, 0, 0, 0, 0) // AS numbers, prefix lengths, padding
	}
	return b
}
