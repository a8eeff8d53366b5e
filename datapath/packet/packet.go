// Package packet holds what travels through the switch: frames in pooled
// buffers, and batches of them.
//
// A Packet is one Ethernet frame, or one large segment that a host handed
// over whole and that some later port cuts up (see Offload). Its bytes stand
// in a buffer with room in front, so that pushing a VLAN tag or a tunnel
// header moves a few bytes and copies nothing else.
//
// # Caveats
//
// A Packet has one owner. Packets are not safe for concurrent use.
package packet

// Headroom is the number of free bytes in front of a frame when a port hands
// it over: enough for an outer Ethernet, IPv6, UDP and Geneve header.
const Headroom = 128

// MaxFrame is the largest frame or large segment in bytes that fits a Packet:
// 64 KiB of IP and an Ethernet header with two VLAN tags.
const MaxFrame = 65536 + 14 + 2*4

// MaxBatch is the number of packets that a port reads or writes at once.
const MaxBatch = 32

// A GSO tells how a large segment is to be cut, as in struct virtio_net_hdr
// (virtio 1.2, section 5.1.6).
type GSO uint8

// The kinds of large segment.
const (
	GSONone  GSO = 0
	GSOTCPv4 GSO = 1
	GSOTCPv6 GSO = 4
	GSOUDPL4 GSO = 5
	GSOECN   GSO = 0x80 // a bit beside GSOTCPv4 or GSOTCPv6
)

// Offload is the work on a packet that its sender left undone. Offsets count
// from the frame's first byte; Push and Pull keep them so.
type Offload struct {
	NeedsCsum  bool   // the checksum at CsumStart+CsumOffset covers the pseudo header only
	CsumValid  bool   // the sender vouches for the transport checksum (VIRTIO_NET_HDR_F_DATA_VALID)
	GSO        GSO    // kind of large segment, GSONone for a plain frame
	HdrLen     uint16 // length of all headers in bytes; a hint, may be 0
	GSOSize    uint16 // payload bytes a segment
	CsumStart  uint16
	CsumOffset uint16
}

// A Packet is one frame or large segment. The zero value is of no use: take
// packets from a Pool.
type Packet struct {
	buf  []byte
	off  int
	end  int
	pool *Pool

	Offload Offload
	// Bare says that the packet has no Ethernet header: in its place stand two
	// addresses of zeros and the type, so that all that reads frames can read it.
	Bare bool
	// Mergeable says that the packet may be put together with others of its flow
	// (Merge): somebody on its way cut large segments.
	Mergeable bool
}

// Bytes is the frame, from its destination MAC address on. The slice aliases
// the packet and is valid until the next Push, Pull, SetLen or Free.
func (p *Packet) Bytes() []byte { return p.buf[p.off:p.end:p.end] }

// Len is the frame's length in bytes, without FCS.
func (p *Packet) Len() int { return p.end - p.off }

// Buffer is the packet's whole room behind the head-room, for a port that
// reads a frame into it; SetLen says afterwards how much was read.
func (p *Packet) Buffer() []byte { return p.buf[p.off:] }

// SetLen makes the frame n bytes long, counted from its present start.
// It panics when n is larger than the buffer, as slicing does.
func (p *Packet) SetLen(n int) {
	_ = p.buf[p.off : p.off+n]
	p.end = p.off + n
}

// Push makes room for n bytes in front of the frame and returns the new
// frame. Offload offsets move along. It returns nil, and changes nothing,
// when the head-room is used up.
func (p *Packet) Push(n int) []byte {
	if p.off < n {
		return nil
	}
	p.off -= n
	p.shift(n)
	return p.Bytes()
}

// Pull drops the frame's first n bytes and returns the rest. It returns nil,
// and changes nothing, when the frame is shorter.
func (p *Packet) Pull(n int) []byte {
	if p.Len() < n {
		return nil
	}
	p.off += n
	p.shift(-n)
	return p.Bytes()
}

func (p *Packet) shift(n int) {
	o := &p.Offload
	if o.NeedsCsum || o.GSO != GSONone {
		o.CsumStart = uint16(int(o.CsumStart) + n)
	}
	if o.HdrLen != 0 {
		o.HdrLen = uint16(int(o.HdrLen) + n)
	}
}

// Clone is a copy of the packet, offload and all, from the same pool. It has
// a full Headroom, but for a frame that grew beyond MaxFrame.
func (p *Packet) Clone() *Packet {
	c := p.pool.From(p.Bytes())
	c.Offload, c.Bare, c.Mergeable = p.Offload, p.Bare, p.Mergeable
	return c
}

// Free gives the packet back to its pool. The owner calls it once.
func (p *Packet) Free() { p.pool.put(p) }

// A Batch is up to MaxBatch packets that travel together.
type Batch struct {
	Packets []*Packet
}

// Reset empties the batch and keeps its room. It frees no packet.
func (b *Batch) Reset() {
	clear(b.Packets)
	b.Packets = b.Packets[:0]
}

// Add appends a packet.
func (b *Batch) Add(p *Packet) { b.Packets = append(b.Packets, p) }

// Len is the number of packets.
func (b *Batch) Len() int { return len(b.Packets) }

// FreeAll frees every packet and empties the batch.
func (b *Batch) FreeAll() {
	for _, p := range b.Packets {
		p.Free()
	}
	b.Reset()
}
