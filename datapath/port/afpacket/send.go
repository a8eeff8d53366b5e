package afpacket

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"govs/datapath/packet"
	"govs/datapath/port/vnet"
)

// maxLot is how many bytes go in one system call, at most or in one packet.
const maxLot = 256 << 10

// A sender writes batches, without allocation.
type sender struct {
	p     *Port
	write func(fd uintptr) bool

	// For the time of one Send:
	count int
	errno unix.Errno

	msgs    [packet.MaxBatch]mmsghdr
	vectors [packet.MaxBatch][2]unix.Iovec
	headers [packet.MaxBatch][vnet.HeaderLen]byte

	packets, bytes, dropped, errors atomic.Uint64
}

func (s *sender) init(p *Port) {
	s.p = p
	s.write = s.writable
	for i := range s.msgs {
		s.vectors[i][0].Base = &s.headers[i][0]
		s.vectors[i][0].SetLen(vnet.HeaderLen)
		s.msgs[i].hdr.Iov = &s.vectors[i][0]
		s.msgs[i].hdr.SetIovlen(2)
	}
}

// Send implements port.Port.
func (p *Port) Send(b *packet.Batch) error {
	if p.Gone() || p.closed.Load() {
		return p.over()
	}
	for rest := b.Packets; len(rest) > 0; {
		n := min(len(rest), packet.MaxBatch)
		if err := p.tx.send(rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

func (s *sender) send(packets []*packet.Packet) error {
	s.count = 0
	for _, pkt := range packets {
		f := pkt.Bytes()
		if len(f) < 14 {
			s.errors.Add(1)
			continue
		}
		i := s.count
		vnet.Encode(&s.headers[i], &pkt.Offload, f)
		s.vectors[i][1].Base = &f[0]
		s.vectors[i][1].SetLen(len(f))
		s.count++
	}
	if s.count == 0 {
		return nil
	}
	s.errno = 0
	if err := s.p.conn.Write(s.write); err != nil {
		return s.p.over()
	}
	if s.errno != 0 && s.p.Lost() {
		return s.p.over()
	}
	return nil
}

// writable sends all of the batch and never waits: what the device does not
// take now is dropped, as a switch does. sendmmsg stops at the first packet
// that fails and tells why only when it comes first. The receiver's part of
// the kernel's work is done in this thread, behind the runtime's back: large
// segments go in smaller lots, so that the garbage collector need not wait.
func (s *sender) writable(fd uintptr) bool {
	retried := false
	for i := 0; i < s.count; {
		lot, room := i, maxLot
		for lot < s.count && (lot == i || room >= int(s.vectors[lot][1].Len)) {
			room -= int(s.vectors[lot][1].Len)
			lot++
		}
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&s.msgs[i])),
			uintptr(lot-i), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			var bytes uint64
			for j := i; j < i+int(n); j++ {
				bytes += uint64(s.msgs[j].len) - vnet.HeaderLen
			}
			s.packets.Add(uint64(n))
			s.bytes.Add(bytes)
			i += int(n)
			retried = false
			continue
		case unix.EINTR:
			continue
		case unix.ENETDOWN, unix.ENXIO, unix.ENODEV:
			// ENETDOWN may be an old story that the socket still had to tell.
			if !retried {
				retried = true
				continue
			}
			s.dropped.Add(uint64(s.count - i))
			s.errno = errno
			return true
		case unix.ENOBUFS, unix.EAGAIN:
			s.dropped.Add(1)
		default: // EMSGSIZE and EINVAL among them
			s.errors.Add(1)
		}
		i++
	}
	return true
}
