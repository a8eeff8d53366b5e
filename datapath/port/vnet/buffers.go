package vnet

import (
	"sync"

	"golang.org/x/sys/unix"

	"govs/datapath/packet"
)

// Buffers are what one batch is read into: a header, a small packet and the
// rest of a large one for each slot. A frame of the usual sizes ends in the
// small packet as it is; of a longer one the head is copied in front of the
// rest, so that 64 KiB segments are read without a 64 KiB buffer for each
// small frame.
//
// Ports share Buffers: Get takes some for the time of one system call, so a
// process has about as many as it has processors, however many ports.
type Buffers struct {
	Headers [packet.MaxBatch][HeaderLen]byte
	// Vectors are ready for readv, recvmsg and recvmmsg: header, head, rest.
	Vectors [packet.MaxBatch][3]unix.Iovec

	pool  *packet.Pool
	small [packet.MaxBatch]*packet.Packet
	large [packet.MaxBatch]*packet.Packet
}

// A Cache holds Buffers that nobody uses at the moment. The zero value is
// ready; it is safe for concurrent use.
type Cache struct{ free sync.Pool }

// Get takes Buffers whose packets come from pool.
func (c *Cache) Get(pool *packet.Pool) *Buffers {
	b, ok := c.free.Get().(*Buffers)
	if ok && b.pool == pool {
		return b
	}
	b = &Buffers{pool: pool}
	for i := range b.Vectors {
		b.Vectors[i][0].Base = &b.Headers[i][0]
		b.Vectors[i][0].SetLen(HeaderLen)
		b.large[i] = pool.Get(packet.MaxFrame)
		b.arm(i)
	}
	return b
}

// Put gives Buffers back.
func (c *Cache) Put(b *Buffers) { c.free.Put(b) }

// arm puts a fresh small packet into slot i, whose large one is there.
func (b *Buffers) arm(i int) {
	b.small[i] = b.pool.Get(0)
	head := b.small[i].Buffer()
	b.Vectors[i][1].Base = &head[0]
	b.Vectors[i][1].SetLen(len(head))
	rest := b.large[i].Buffer()[len(head):]
	b.Vectors[i][2].Base = &rest[0]
	b.Vectors[i][2].SetLen(len(rest))
}

// Take is the frame of n bytes (without the header) that was read into slot
// i, which gets a fresh packet. The offload is decoded; a frame with a header
// that makes no sense gives ErrHeader and is dropped.
func (b *Buffers) Take(i, n int) (*packet.Packet, error) {
	o, err := Decode(&b.Headers[i])
	if err != nil {
		return nil, err
	}
	p := b.small[i]
	if head := p.Buffer(); n > len(head) {
		large := b.large[i]
		copy(large.Buffer(), head)
		large.SetLen(n)
		large.Offload = o
		b.large[i] = b.pool.Get(packet.MaxFrame)
		rest := b.large[i].Buffer()[len(head):]
		b.Vectors[i][2].Base = &rest[0]
		return large, nil
	}
	p.SetLen(n)
	p.Offload = o
	b.arm(i)
	return p, nil
}
