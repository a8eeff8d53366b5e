package packet

import (
	"encoding/binary"
	"errors"

	"govs/datapath/header"
)

// Errors of software offload. The packet is as it was.
var (
	// ErrOffload says that a packet's Offload makes no sense for its bytes.
	ErrOffload = errors.New("offload does not fit the packet")
	// ErrSegments says that a packet would become more than MaxSegments.
	ErrSegments = errors.New("packet would become too many segments")
)

// MaxSegments is how many frames one large segment may become: 64 KiB at the
// smallest segment size that TCP stacks use. More is an attack.
const MaxSegments = 2048

// Offsets within the headers of TCP and UDP.
const (
	tcpFlags = 13
	tcpSum   = 16 // the checksum
	udpSum   = 6
)

// layout is where the headers of a large segment stand.
type layout struct {
	l3, l4, payload, end int
	v6, udp              bool
}

// parse finds the headers of a large segment: Ethernet, up to two VLAN tags,
// IPv4 or IPv6 with extension headers, TCP or UDP. They must be what Offload
// says.
func parse(f []byte, o *Offload) (layout, error) {
	var l layout
	at := 12
	for tags := 0; ; tags++ {
		if at+2 > len(f) {
			return l, ErrOffload
		}
		t := binary.BigEndian.Uint16(f[at:])
		if header.IsVLAN(t) && tags < 2 {
			at += 4
			continue
		}
		l.l3 = at + 2
		l.v6 = t == header.TypeIPv6
		if !l.v6 && t != header.TypeIPv4 {
			return l, ErrOffload
		}
		break
	}
	var proto byte
	var err error
	if l.v6 {
		proto, err = l.ipv6(f)
	} else {
		proto, err = l.ipv4(f)
	}
	if err != nil {
		return l, err
	}
	switch {
	case proto == header.ProtoTCP && (o.GSO&^GSOECN == GSOTCPv4 && !l.v6 || o.GSO&^GSOECN == GSOTCPv6 && l.v6):
		if l.l4+header.TCPLen > l.end {
			return l, ErrOffload
		}
		n := int(f[l.l4+12]>>4) * 4
		if n < header.TCPLen || l.l4+n > l.end {
			return l, ErrOffload
		}
		l.payload = l.l4 + n
	case proto == header.ProtoUDP && o.GSO == GSOUDPL4:
		if l.l4+header.UDPLen > l.end {
			return l, ErrOffload
		}
		l.udp = true
		l.payload = l.l4 + header.UDPLen
	default:
		return l, ErrOffload
	}
	if o.NeedsCsum && int(o.CsumStart) != l.l4 {
		return l, ErrOffload
	}
	return l, nil
}

func (l *layout) ipv4(f []byte) (proto byte, err error) {
	h := f[l.l3:]
	if len(h) < 20 || h[0]>>4 != 4 {
		return 0, ErrOffload
	}
	n := int(h[0]&15) * 4
	total := int(binary.BigEndian.Uint16(h[2:]))
	if n < 20 || total < n || total > len(h) {
		return 0, ErrOffload
	}
	if binary.BigEndian.Uint16(h[6:])&0x3fff != 0 { // a fragment
		return 0, ErrOffload
	}
	l.l4, l.end = l.l3+n, l.l3+total
	return h[9], nil
}

func (l *layout) ipv6(f []byte) (proto byte, err error) {
	h := f[l.l3:]
	if len(h) < 40 || h[0]>>4 != 6 {
		return 0, ErrOffload
	}
	total := 40 + int(binary.BigEndian.Uint16(h[4:]))
	if total > len(h) {
		return 0, ErrOffload
	}
	l.end = l.l3 + total
	proto = h[6]
	at := 40
	for range 8 {
		switch proto {
		case 0, 43, 60: // hop-by-hop, routing, destination options
			if at+8 > total {
				return 0, ErrOffload
			}
			proto, at = h[at], at+(int(h[at+1])+1)*8
			if at > total {
				return 0, ErrOffload
			}
			continue
		}
		break
	}
	l.l4 = l.l3 + at
	return proto, nil
}

// Segment cuts a large segment into frames of at most GSOSize bytes of
// payload, checksums and all, and appends them to out, which may grow beyond
// MaxBatch. A packet that is no large segment is copied, with its checksum
// completed. p itself stays as it is and the caller's. Nothing is appended
// when the error is not nil: ErrOffload or ErrSegments.
func Segment(p *Packet, pool *Pool, out *Batch) error {
	if p.Offload.GSO == GSONone {
		c := pool.From(p.Bytes())
		c.Offload, c.Bare = p.Offload, p.Bare
		if err := CompleteChecksum(c); err != nil {
			c.Free()
			return err
		}
		out.Add(c)
		return nil
	}
	c, err := Cut(p)
	if err != nil {
		return err
	}
	for i := range c.Frames {
		out.Add(c.Frame(i, pool))
	}
	return nil
}

// A Cutter makes single frames of a large segment.
type Cutter struct {
	Frames int // how many there are

	p      *Packet
	l      layout
	size   int
	pseudo uint64
}

// Cut reads the headers of a large segment. The error is ErrOffload or
// ErrSegments.
func Cut(p *Packet) (c Cutter, err error) {
	o := &p.Offload
	c.p, c.size = p, int(o.GSOSize)
	if c.size == 0 {
		return c, ErrOffload
	}
	f := p.Bytes()
	if c.l, err = parse(f, o); err != nil {
		return c, err
	}
	if c.Frames = max(1, (c.l.end-c.l.payload+c.size-1)/c.size); c.Frames > MaxSegments {
		return c, ErrSegments
	}
	c.pseudo = c.l.pseudo(f)
	return c, nil
}

// Frame is a new packet with the i-th frame, from 0 on.
func (c *Cutter) Frame(i int, pool *Pool) *Packet {
	f := c.p.Bytes()
	data := f[c.l.payload+i*c.size : c.l.end]
	last := len(data) <= c.size
	if !last {
		data = data[:c.size]
	}
	s := pool.get(c.l.payload + len(data))
	s.SetLen(c.l.payload + len(data))
	b := s.Bytes()
	copy(b, f[:c.l.payload])
	copy(b[c.l.payload:], data)
	c.l.finish(b, i, c.size, last, c.pseudo)
	s.Offload, s.Bare = Offload{CsumValid: true}, c.p.Bare
	return s
}

// pseudo is the sum of the pseudo header's addresses and protocol, without the
// length.
func (l *layout) pseudo(f []byte) uint64 {
	proto := uint64(header.ProtoTCP)
	if l.udp {
		proto = header.ProtoUDP
	}
	if l.v6 {
		return header.Sum(f[l.l3+8:l.l3+40], proto)
	}
	return header.Sum(f[l.l3+12:l.l3+20], proto)
}

// finish makes frame b, with copied headers, the i-th of its large segment.
func (l *layout) finish(b []byte, i, size int, last bool, pseudo uint64) {
	ip := b[l.l3:]
	if l.v6 {
		binary.BigEndian.PutUint16(ip[4:], uint16(len(ip)-40))
	} else {
		binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
		binary.BigEndian.PutUint16(ip[4:], binary.BigEndian.Uint16(ip[4:])+uint16(i))
		ip[10], ip[11] = 0, 0
		binary.BigEndian.PutUint16(ip[10:], header.Checksum(ip[:l.l4-l.l3], 0))
	}
	l4 := b[l.l4:]
	sumAt := tcpSum
	if l.udp {
		sumAt = udpSum
		binary.BigEndian.PutUint16(l4[4:], uint16(len(l4)))
	} else {
		binary.BigEndian.PutUint32(l4[4:], binary.BigEndian.Uint32(l4[4:])+uint32(i*size))
		if !last {
			l4[tcpFlags] &^= header.FIN | header.PSH
		}
		if i > 0 {
			l4[tcpFlags] &^= header.CWR
		}
	}
	l4[sumAt], l4[sumAt+1] = 0, 0
	c := header.Checksum(l4, pseudo+uint64(len(l4)))
	if c == 0 && l.udp {
		c = 0xffff
	}
	binary.BigEndian.PutUint16(l4[sumAt:], c)
}

// Wire tells how many frames the packet becomes on a wire, and how many bytes
// they have together, without FCS: what counters and meters count. A packet
// that Segment would refuse counts as one frame.
func Wire(p *Packet) (frames, bytes int) {
	o := &p.Offload
	if o.GSO == GSONone || o.GSOSize == 0 {
		return 1, p.Len()
	}
	l, err := parse(p.Bytes(), o)
	if err != nil {
		return 1, p.Len()
	}
	n := max(1, (l.end-l.payload+int(o.GSOSize)-1)/int(o.GSOSize))
	return n, n*l.payload + l.end - l.payload
}

// Fit is the Offload with which Segment cuts a packet of TCP to frames of no
// more than limit bytes, where 0 is no limit. A packet that was not large can
// be cut, too, where its sender left the checksum to others. For other packets
// it is what they have, and so is it where no payload would fit.
func Fit(p *Packet, limit int) Offload {
	o := p.Offload
	if limit <= 0 || p.Len() <= limit {
		return o
	}
	kinds := []GSO{o.GSO}
	if o.GSO == GSONone {
		if !o.NeedsCsum || o.CsumOffset != tcpSum {
			return o
		}
		kinds = []GSO{GSOTCPv4, GSOTCPv6}
	}
	for _, kind := range kinds {
		o.GSO = kind
		l, err := parse(p.Bytes(), &o)
		room := limit - l.payload
		if err != nil || l.udp || room <= 0 {
			continue
		}
		if o.GSOSize == 0 || int(o.GSOSize) > room {
			o.GSOSize = uint16(room)
		}
		return o
	}
	return p.Offload
}
