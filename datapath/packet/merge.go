package packet

import (
	"bytes"
	"encoding/binary"

	"govs/datapath/header"
)

// Merge appends to out what is in the list, in order: runs of TCP segments that
// are Mergeable, and that one host cut a large segment into, as large segments
// again, and the rest as it is. tso4 and tso6 say for which kind of IP. The large
// segments are new packets of the pool, which made gets, too; those in the list
// stay as they are.
//
// As in Linux's generic receive offload, headers must be alike but for lengths,
// numbers, checksums and PSH, all checksums right, and all segments but the last
// of a run of one length.
func Merge(list []*Packet, tso4, tso6 bool, pool *Pool, out, made *Batch) {
	for len(list) > 0 {
		n := 1
		if l, ok := list[0].segment(tso4, tso6); ok {
			for whole := l.end; n < len(list) && !l.last; n++ {
				next, ok := list[n].segment(tso4, tso6)
				whole += next.end - next.payload
				if !ok || whole-l.l3 > 0xffff || !l.follows(list[n-1].Bytes(), list[n].Bytes(), &next) {
					break
				}
				l.last = next.last || next.end-next.payload < l.end-l.payload
			}
			if n > 1 {
				p := l.join(list[:n], pool)
				made.Add(p)
				out.Add(p)
				list = list[n:]
				continue
			}
		}
		out.Add(list[0])
		list = list[1:]
	}
}

// A piece is where the headers of a segment stand. last says that none may follow.
type piece struct {
	l3, l4, payload, end int
	v6, last             bool
}

// segment finds the headers of a TCP segment that may be put together with
// others.
func (p *Packet) segment(tso4, tso6 bool) (l piece, ok bool) {
	if !p.Mergeable || p.Bare || p.Offload != (Offload{}) {
		return l, false
	}
	f := p.Bytes()
	at := 12
	for tags := 0; tags < 2 && len(f) >= at+6 && header.IsVLAN(binary.BigEndian.Uint16(f[at:])); tags++ {
		at += header.VLANLen
	}
	if len(f) < at+2 {
		return l, false
	}
	l.l3 = at + 2
	h := f[l.l3:]
	var src, dst []byte
	switch binary.BigEndian.Uint16(f[at:]) {
	case header.TypeIPv4:
		ip := header.IPv4(h)
		if !tso4 || len(h) < header.IPv4Len || h[0] != 0x45 || ip.TotalLen() > len(h) || ip.Frag()&^header.IPv4DontFragment != 0 || ip.Proto() != header.ProtoTCP ||
			header.Checksum(h[:header.IPv4Len], 0) != 0 {
			return l, false
		}
		l.l4, l.end, src, dst = l.l3+header.IPv4Len, l.l3+ip.TotalLen(), ip.Src(), ip.Dst()
	case header.TypeIPv6:
		ip := header.IPv6(h)
		if !tso6 || len(h) < header.IPv6Len || ip.Version() != 6 || header.IPv6Len+ip.PayloadLen() > len(h) || ip.Next() != header.ProtoTCP {
			return l, false
		}
		l.v6, l.l4, l.end, src, dst = true, l.l3+header.IPv6Len, l.l3+header.IPv6Len+ip.PayloadLen(), ip.Src(), ip.Dst()
	default:
		return l, false
	}
	if l.end < l.l4+header.TCPLen {
		return l, false
	}
	tcp := header.TCP(f[l.l4:l.end])
	l.payload = l.l4 + int(tcp[12]>>4)*4
	flags := tcp.Flags()
	l.last = flags&header.PSH != 0
	ok = l.payload >= l.l4+header.TCPLen && l.payload < l.end && flags&^header.PSH == header.ACK &&
		header.Checksum(tcp, header.PseudoSum(src, dst, header.ProtoTCP, len(tcp))) == 0
	return l, ok
}

// follows says whether the segment next comes behind the segment before of a run,
// of which l is the first.
func (l *piece) follows(before, next []byte, n *piece) bool {
	if n.l3 != l.l3 || n.v6 != l.v6 || n.payload != l.payload || n.end-n.payload > l.end-l.payload || !bytes.Equal(before[:l.l3], next[:l.l3]) {
		return false
	}
	a, b := before[l.l3:], next[l.l3:]
	if l.v6 {
		if !bytes.Equal(a[:4], b[:4]) || !bytes.Equal(a[6:header.IPv6Len], b[6:header.IPv6Len]) {
			return false
		}
	} else {
		numbered := binary.BigEndian.Uint16(b[4:]) == binary.BigEndian.Uint16(a[4:])+1 || header.IPv4(a).Frag()&header.IPv4DontFragment != 0
		if !numbered || a[1] != b[1] || !bytes.Equal(a[6:10], b[6:10]) || !bytes.Equal(a[12:header.IPv4Len], b[12:header.IPv4Len]) {
			return false
		}
	}
	a, b = before[l.l4:], next[l.l4:]
	length := uint32(l.end - l.payload) // of the segment before: only the last is shorter
	return binary.BigEndian.Uint32(b[4:]) == binary.BigEndian.Uint32(a[4:])+length &&
		bytes.Equal(a[:4], b[:4]) && bytes.Equal(a[8:tcpFlags], b[8:tcpFlags]) && bytes.Equal(a[14:16], b[14:16]) &&
		bytes.Equal(before[l.l4+header.TCPLen:l.payload], next[l.l4+header.TCPLen:l.payload])
}

// join is a run as one large segment.
func (l *piece) join(run []*Packet, pool *Pool) *Packet {
	whole := l.payload
	ends := make([]int, 0, MaxBatch)
	for _, p := range run {
		ip, end := p.Bytes()[l.l3:], 0
		if l.v6 {
			end = l.l3 + header.IPv6Len + header.IPv6(ip).PayloadLen()
		} else {
			end = l.l3 + header.IPv4(ip).TotalLen()
		}
		ends = append(ends, end)
		whole += end - l.payload
	}
	large := pool.get(whole)
	large.SetLen(whole)
	f := large.Bytes()
	at := copy(f, run[0].Bytes()[:l.payload])
	for n, p := range run {
		at += copy(f[at:], p.Bytes()[l.payload:ends[n]])
	}
	gso, src, dst := GSOTCPv4, f[l.l3+12:l.l3+16], f[l.l3+16:l.l4]
	if l.v6 {
		gso, src, dst = GSOTCPv6, f[l.l3+8:l.l3+24], f[l.l3+24:l.l4]
		header.IPv6(f[l.l3:]).SetPayloadLen(whole - l.l4)
	} else {
		ip := header.IPv4(f[l.l3:])
		ip.SetTotalLen(whole - l.l3)
		ip.UpdateChecksum()
	}
	tcp := header.TCP(f[l.l4:])
	f[l.l4+tcpFlags] |= run[len(run)-1].Bytes()[l.l4+tcpFlags] // PSH
	tcp.SetChecksum(^header.Fold(header.PseudoSum(src, dst, header.ProtoTCP, len(tcp))))
	large.Offload = Offload{NeedsCsum: true, GSO: gso, GSOSize: uint16(l.end - l.payload), HdrLen: uint16(l.payload), CsumStart: uint16(l.l4), CsumOffset: tcpSum}
	return large
}
