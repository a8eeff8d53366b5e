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
		n, whole := 1, 0
		if l, ok := list[0].segment(tso4, tso6); ok {
			for whole = l.end; n < len(list) && !l.last; n++ {
				next, ok := list[n].segment(tso4, tso6)
				data := next.end - next.payload
				if !ok || whole+data-l.l3 > 0xffff || !l.follows(list[n-1].Bytes(), list[n].Bytes(), &next) ||
					!next.sound(list[n].Bytes()) || n == 1 && !l.sound(list[0].Bytes()) {
					break
				}
				whole += data
				l.last = next.last || data < l.end-l.payload
			}
			if n > 1 {
				p := l.join(list[:n], whole, pool)
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

// A piece is a segment that may be put together with others. last says that none
// may follow.
type piece struct {
	layout
	last bool
}

// segment finds the headers of a segment that may be put together with others.
func (p *Packet) segment(tso4, tso6 bool) (l piece, ok bool) {
	if !p.Mergeable || p.Bare || p.Offload != (Offload{}) {
		return l, false
	}
	f := p.Bytes()
	var err error
	if l.layout, err = parse(f, &Offload{GSO: GSOTCPv4}); err != nil {
		l.layout, err = parse(f, &Offload{GSO: GSOTCPv6})
	}
	if err != nil || l.payload == l.end {
		return l, false
	}
	if l.v6 && (!tso6 || l.l4-l.l3 != header.IPv6Len) || !l.v6 && (!tso4 || l.l4-l.l3 != header.IPv4Len) {
		return l, false
	}
	flags := header.TCP(f[l.l4:]).Flags()
	l.last = flags&header.PSH != 0
	return l, flags&^header.PSH == header.ACK
}

// sound says whether all checksums are right.
func (l *piece) sound(f []byte) bool {
	tcp := f[l.l4:l.end]
	return (l.v6 || header.Checksum(f[l.l3:l.l4], 0) == 0) && header.Checksum(tcp, l.pseudo(f)+uint64(len(tcp))) == 0
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

// join is a run as one large segment, which is whole bytes long.
func (l *piece) join(run []*Packet, whole int, pool *Pool) *Packet {
	large := pool.get(whole)
	large.SetLen(whole)
	f := large.Bytes()
	size := l.end - l.payload
	at := copy(f, run[0].Bytes()[:l.payload])
	for _, p := range run { // the last one may be shorter, with padding behind it
		at += copy(f[at:], p.Bytes()[l.payload:l.payload+min(size, whole-at)])
	}
	gso := GSOTCPv4
	if l.v6 {
		gso = GSOTCPv6
		header.IPv6(f[l.l3:]).SetPayloadLen(whole - l.l4)
	} else {
		ip := header.IPv4(f[l.l3:])
		ip.SetTotalLen(whole - l.l3)
		ip.UpdateChecksum()
	}
	f[l.l4+tcpFlags] |= run[len(run)-1].Bytes()[l.l4+tcpFlags] // PSH
	header.TCP(f[l.l4:]).SetChecksum(^header.Fold(l.pseudo(f) + uint64(whole-l.l4)))
	large.Offload = Offload{NeedsCsum: true, GSO: gso, GSOSize: uint16(size), HdrLen: uint16(l.payload), CsumStart: uint16(l.l4), CsumOffset: tcpSum}
	return large
}
