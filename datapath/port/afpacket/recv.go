package afpacket

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"govs/datapath/packet"
	"govs/datapath/port"
	"govs/datapath/port/vnet"
)

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
}

// Bits of tpacket_auxdata.tp_status.
const (
	statusVLANValid     = 0x10
	statusVLANTPIDValid = 0x40
)

// A receiver reads batches. Its functions are made once, so that a read
// allocates nothing.
type receiver struct {
	p    *Port
	read func(fd uintptr) bool

	// For the time of one Recv:
	batch *packet.Batch
	errno unix.Errno

	msgs    [packet.MaxBatch]mmsghdr
	control [packet.MaxBatch][controlLen]byte

	packets, bytes, errors, frame, over atomic.Uint64
}

// controlLen is the room for one control message with struct tpacket_auxdata:
// CMSG_SPACE(20).
const controlLen = (unix.SizeofCmsghdr + 20 + 7) &^ 7

func (r *receiver) init(p *Port) {
	r.p = p
	r.read = r.readable
	for i := range r.msgs {
		r.msgs[i].hdr.Control = &r.control[i][0]
	}
}

// Recv implements port.Port.
func (p *Port) Recv(b *packet.Batch) error {
	r := &p.rx
	for {
		if p.Gone() {
			return p.over()
		}
		r.batch, r.errno = b, 0
		err := p.conn.Read(r.read)
		r.batch = nil
		if err == nil && b.Len() > 0 {
			return nil
		}
		switch r.errno {
		case 0:
		case unix.EAGAIN:
			err = p.wait.Wait()
		default:
			err = p.failed(r.errno)
		}
		if err != nil {
			return p.over()
		}
	}
}

// over is the error of a port that is no more.
func (p *Port) over() error {
	if p.closed.Load() {
		return port.ErrClosed
	}
	return port.ErrGone
}

// failed looks at an error of the socket: a device that is down comes back,
// one that vanished does not.
func (p *Port) failed(errno unix.Errno) error {
	switch errno {
	case unix.ENETDOWN, unix.ENXIO, unix.ENODEV:
		if p.Lost() {
			return p.over()
		}
	case unix.EINVAL:
		// The kernel could not describe the packet in a virtio-net header.
		p.rx.errors.Add(1)
	}
	return nil
}

// readable reads what is there. The system call never waits, so the runtime need
// not hear of it: raw calls both ways forward a third more small packets.
func (r *receiver) readable(fd uintptr) bool {
	bufs := buffers.Get(r.p.pool)
	for i := range r.msgs {
		h := &r.msgs[i].hdr
		h.Iov = &bufs.Vectors[i][0]
		h.SetIovlen(3)
		h.SetControllen(controlLen)
		h.Flags = 0
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&r.msgs[0])),
		packet.MaxBatch, unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		buffers.Put(bufs)
		r.errno = errno
		return true
	}
	var bytes uint64
	for i := range int(n) {
		bytes += r.take(bufs, i)
	}
	buffers.Put(bufs)
	r.packets.Add(uint64(r.batch.Len()))
	r.bytes.Add(bytes)
	return true
}

// take puts message i into the batch and returns its length.
func (r *receiver) take(bufs *vnet.Buffers, i int) uint64 {
	m := &r.msgs[i]
	n := int(m.len) - vnet.HeaderLen
	switch {
	case m.hdr.Flags&unix.MSG_TRUNC != 0:
		r.over.Add(1)
		r.errors.Add(1)
		return 0
	case n < 14:
		r.frame.Add(1)
		r.errors.Add(1)
		return 0
	}
	pkt, err := bufs.Take(i, n)
	if err != nil {
		r.errors.Add(1)
		return 0
	}
	if tpid, tci, ok := vlanTag(r.control[i][:m.hdr.Controllen]); ok && !pushTag(pkt, tpid, tci) {
		pkt.Free()
		r.errors.Add(1)
		return 0
	}
	r.batch.Add(pkt)
	return uint64(pkt.Len())
}

// vlanTag is the tag that the kernel took off, from struct tpacket_auxdata.
func vlanTag(control []byte) (tpid, tci uint16, ok bool) {
	const header = unix.SizeofCmsghdr
	if len(control) < header+20 {
		return 0, 0, false
	}
	aux := control[header:]
	status := binary.NativeEndian.Uint32(aux)
	if status&statusVLANValid == 0 {
		return 0, 0, false
	}
	tci = binary.NativeEndian.Uint16(aux[16:])
	tpid = unix.ETH_P_8021Q
	if status&statusVLANTPIDValid != 0 {
		tpid = binary.NativeEndian.Uint16(aux[18:])
	}
	return tpid, tci, true
}

func pushTag(p *packet.Packet, tpid, tci uint16) bool {
	f := p.Push(4)
	if f == nil {
		return false
	}
	copy(f, f[4:16])
	binary.BigEndian.PutUint16(f[12:], tpid)
	binary.BigEndian.PutUint16(f[14:], tci)
	return true
}
