package tap

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"govs/datapath/packet"
	"govs/datapath/port"
	"govs/datapath/port/vnet"
)

// A receiver reads until the device has no more, or the batch is full. Its
// functions are made once, so that a read allocates nothing.
type receiver struct {
	p    *Port
	read func(fd uintptr) bool

	// For the time of one Recv:
	batch *packet.Batch
	errno unix.Errno

	packets, bytes, errors, frame atomic.Uint64
}

func (r *receiver) init(p *Port) {
	r.p = p
	r.read = r.readable
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
		switch {
		case r.errno == unix.EAGAIN:
			err = p.wait.Wait()
		case r.errno != 0 && p.Lost():
			return p.over()
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

// readable reads what is there. The file is non-blocking, so the runtime need not hear of the system calls.
func (r *receiver) readable(fd uintptr) bool {
	bufs := buffers.Get(r.p.pool)
	var bytes uint64
	i := 0
	for ; i < packet.MaxBatch; i++ {
		n, _, errno := unix.RawSyscall(unix.SYS_READV, fd, uintptr(unsafe.Pointer(&bufs.Vectors[i][0])), 3)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			if errno != unix.EAGAIN || i == 0 {
				r.errno = errno
			}
			break
		}
		if int(n) < vnet.HeaderLen+14 {
			r.frame.Add(1)
			r.errors.Add(1)
			continue
		}
		pkt, err := bufs.Take(i, int(n)-vnet.HeaderLen)
		if err != nil {
			r.errors.Add(1)
			continue
		}
		bytes += uint64(pkt.Len())
		r.batch.Add(pkt)
	}
	buffers.Put(bufs)
	r.packets.Add(uint64(r.batch.Len()))
	r.bytes.Add(bytes)
	return true
}

// A sender writes packet after packet, without allocation.
type sender struct {
	p     *Port
	write func(fd uintptr) bool

	// For the time of one Send:
	batch []*packet.Packet
	errno unix.Errno

	vectors [2]unix.Iovec
	header  [vnet.HeaderLen]byte

	packets, bytes, dropped, errors atomic.Uint64
}

func (s *sender) init(p *Port) {
	s.p = p
	s.write = s.writable
	s.vectors[0].Base = &s.header[0]
	s.vectors[0].SetLen(vnet.HeaderLen)
}

// Send implements port.Port.
func (p *Port) Send(b *packet.Batch) error {
	if p.Gone() || p.closed.Load() {
		return p.over()
	}
	s := &p.tx
	s.batch, s.errno = b.Packets, 0
	err := p.conn.Write(s.write)
	s.batch = nil
	if err != nil {
		return p.over()
	}
	if s.errno != 0 && p.Lost() {
		return p.over()
	}
	return nil
}

// writable writes all of the batch. A device that is down refuses with EIO,
// one that is gone with EBADFD.
func (s *sender) writable(fd uintptr) bool {
	var packets, bytes uint64
	for _, pkt := range s.batch {
		f := pkt.Bytes()
		if len(f) < 14 {
			s.errors.Add(1)
			continue
		}
		if mtu := s.p.State().MTU; pkt.Offload.GSO == packet.GSONone && len(f) > mtu+14+2*4 {
			s.errors.Add(1)
			continue
		}
		vnet.Encode(&s.header, &pkt.Offload, f)
		s.vectors[1].Base = &f[0]
		s.vectors[1].SetLen(len(f))
		_, _, errno := unix.RawSyscall(unix.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&s.vectors[0])), 2)
		switch errno {
		case 0:
			packets++
			bytes += uint64(len(f))
		case unix.EINVAL, unix.EMSGSIZE:
			s.errors.Add(1)
		case unix.EAGAIN, unix.ENOBUFS, unix.ENOMEM:
			s.dropped.Add(1)
		default:
			s.dropped.Add(1)
			s.errno = errno
		}
	}
	s.packets.Add(packets)
	s.bytes.Add(bytes)
	return true
}
