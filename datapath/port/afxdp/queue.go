package afxdp

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"govs/datapath/port"
)

// The memory of a queue is cut into chunks, of which half are for what comes and
// half for what goes. A frame fills one.
const (
	chunkSize = 4096
	ringSize  = 1024 // of each ring, a power of two
)

// A queue is the socket on one of the device's queues, with its memory.
type queue struct {
	fd                 int
	umem               []byte
	rx, tx, fill, done ring
	unused             []uint64 // chunks that nothing is in
}

// A ring is one of the four that a socket shares with the kernel. One side
// writes entries and then the producer's index, the other one reads them and then
// moves the consumer's.
type ring struct {
	mem                       []byte
	producer, consumer, flags *uint32
	entries                   unsafe.Pointer
	at                        uint32 // our own index: the kernel only reads that one
}

// newQueue makes a socket on a queue of the device.
func newQueue(ifindex, id int, zeroCopy, wakeup bool) (q *queue, err error) {
	q = &queue{fd: -1}
	defer func() {
		if err != nil {
			q.close()
			q = nil
		}
	}()
	if q.fd, err = unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
		return q, fmt.Errorf("%w: AF_XDP socket: %w", port.ErrUnsupported, err)
	}
	if q.umem, err = unix.Mmap(-1, 0, 2*ringSize*chunkSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_POPULATE); err != nil {
		return q, fmt.Errorf("memory for frames: %w", err)
	}
	reg := unix.XDPUmemReg{Addr: uint64(uintptr(unsafe.Pointer(&q.umem[0]))), Len: uint64(len(q.umem)), Size: chunkSize}
	if err = setsockopt(q.fd, unix.XDP_UMEM_REG, unsafe.Pointer(&reg), unsafe.Sizeof(reg)); err != nil {
		return q, fmt.Errorf("XDP_UMEM_REG: %w", err)
	}
	for _, r := range []struct {
		name   string
		option int
	}{
		{"XDP_UMEM_FILL_RING", unix.XDP_UMEM_FILL_RING}, {"XDP_UMEM_COMPLETION_RING", unix.XDP_UMEM_COMPLETION_RING},
		{"XDP_RX_RING", unix.XDP_RX_RING}, {"XDP_TX_RING", unix.XDP_TX_RING},
	} {
		if err = unix.SetsockoptInt(q.fd, unix.SOL_XDP, r.option, ringSize); err != nil {
			return q, fmt.Errorf("%s: %w", r.name, err)
		}
	}
	var off unix.XDPMmapOffsets
	size := uint32(unsafe.Sizeof(off))
	if err = getsockopt(q.fd, unix.XDP_MMAP_OFFSETS, unsafe.Pointer(&off), &size); err != nil {
		return q, fmt.Errorf("XDP_MMAP_OFFSETS: %w", err)
	}
	if size != uint32(unsafe.Sizeof(off)) {
		return q, fmt.Errorf("%w: rings without flags (Linux 5.4)", port.ErrUnsupported)
	}
	const desc, addr = unsafe.Sizeof(unix.XDPDesc{}), unsafe.Sizeof(uint64(0))
	for _, r := range []struct {
		ring  *ring
		at    int64
		off   unix.XDPRingOffset
		entry uintptr
	}{
		{&q.rx, unix.XDP_PGOFF_RX_RING, off.Rx, desc}, {&q.tx, unix.XDP_PGOFF_TX_RING, off.Tx, desc},
		{&q.fill, unix.XDP_UMEM_PGOFF_FILL_RING, off.Fr, addr}, {&q.done, unix.XDP_UMEM_PGOFF_COMPLETION_RING, off.Cr, addr},
	} {
		if err = r.ring.mmap(q.fd, r.at, r.off, r.entry); err != nil {
			return q, fmt.Errorf("mapping a ring: %w", err)
		}
	}
	for i := range uint32(ringSize) {
		q.fill.setAddr(i, uint64(i)*chunkSize)
		q.unused = append(q.unused, (ringSize+uint64(i))*chunkSize)
	}
	q.fill.produce(ringSize)

	at := unix.SockaddrXDP{Ifindex: uint32(ifindex), QueueID: uint32(id), Flags: unix.XDP_COPY}
	if zeroCopy {
		at.Flags = unix.XDP_ZEROCOPY
	}
	if wakeup {
		at.Flags |= unix.XDP_USE_NEED_WAKEUP
	}
	err = unix.Bind(q.fd, &at)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) {
		return q, fmt.Errorf("%w: bind: %w", port.ErrUnsupported, err)
	} else if err != nil {
		return q, fmt.Errorf("bind: %w", err)
	}
	return q, nil
}

// close gives the socket and the memory back.
func (q *queue) close() {
	if q.fd >= 0 {
		unix.Close(q.fd)
		q.fd = -1
	}
	for _, r := range []*ring{&q.rx, &q.tx, &q.fill, &q.done} {
		if r.mem != nil {
			_ = unix.Munmap(r.mem)
			*r = ring{}
		}
	}
	if q.umem != nil {
		_ = unix.Munmap(q.umem)
		q.umem = nil
	}
}

// chunk is the frame of a descriptor of the kernel's, empty where that makes no
// sense.
func (q *queue) chunk(d *unix.XDPDesc) []byte {
	end := d.Addr + uint64(d.Len)
	if d.Addr > end || end > uint64(len(q.umem)) {
		return nil
	}
	return q.umem[d.Addr:end:end]
}

// free takes a chunk for a frame that is to be sent.
func (q *queue) free() (addr uint64, ok bool) {
	n := len(q.unused)
	if n == 0 {
		return 0, false
	}
	addr = q.unused[n-1]
	q.unused = q.unused[:n-1]
	return addr, true
}

// reclaim takes the chunks back whose frames were sent.
func (q *queue) reclaim() {
	n := q.done.waiting()
	for i := range n {
		q.unused = append(q.unused, q.done.addr(i)&^(chunkSize-1))
	}
	q.done.consume(n)
}

func (q *queue) statistics() unix.XDPStatistics {
	var s unix.XDPStatistics
	size := uint32(unsafe.Sizeof(s))
	_ = getsockopt(q.fd, unix.XDP_STATISTICS, unsafe.Pointer(&s), &size) // older kernels give fewer of them
	return s
}

func (r *ring) mmap(fd int, at int64, off unix.XDPRingOffset, entry uintptr) (err error) {
	r.mem, err = unix.Mmap(fd, at, int(off.Desc)+int(ringSize*entry), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return err
	}
	word := func(at uint64) *uint32 { return (*uint32)(unsafe.Pointer(&r.mem[at])) }
	r.producer, r.consumer, r.flags = word(off.Producer), word(off.Consumer), word(off.Flags)
	r.entries = unsafe.Pointer(&r.mem[off.Desc])
	return nil
}

// waiting is how many entries the kernel has produced, and we have not consumed.
func (r *ring) waiting() uint32 { return min(atomic.LoadUint32(r.producer)-r.at, ringSize) }

// consume moves on over n entries, which the kernel may write again.
func (r *ring) consume(n uint32) {
	r.at += n
	atomic.StoreUint32(r.consumer, r.at)
}

// produce hands n entries that were set to the kernel.
func (r *ring) produce(n uint32) {
	r.at += n
	atomic.StoreUint32(r.producer, r.at)
}

// asksWakeup says that the kernel waits for a system call.
func (r *ring) asksWakeup() bool { return atomic.LoadUint32(r.flags)&unix.XDP_RING_NEED_WAKEUP != 0 }

// desc is the entry i after our index, of the rings of descriptors.
func (r *ring) desc(i uint32) *unix.XDPDesc {
	return (*unix.XDPDesc)(unsafe.Add(r.entries, uintptr((r.at+i)%ringSize)*unsafe.Sizeof(unix.XDPDesc{})))
}

func (r *ring) setDesc(i uint32, addr uint64, length uint32) {
	*r.desc(i) = unix.XDPDesc{Addr: addr, Len: length}
}

// word is the entry i after our index, of the rings of addresses.
func (r *ring) word(i uint32) *uint64 {
	return (*uint64)(unsafe.Add(r.entries, uintptr((r.at+i)%ringSize)*8))
}

func (r *ring) addr(i uint32) uint64       { return *r.word(i) }
func (r *ring) setAddr(i uint32, a uint64) { *r.word(i) = a }

func setsockopt(fd, option int, value unsafe.Pointer, size uintptr) error {
	if _, _, errno := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_XDP, uintptr(option), uintptr(value), size, 0); errno != 0 {
		return errno
	}
	return nil
}

func getsockopt(fd, option int, value unsafe.Pointer, size *uint32) error {
	if _, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_XDP, uintptr(option), uintptr(value), uintptr(unsafe.Pointer(size)), 0); errno != 0 {
		return errno
	}
	return nil
}

// redirect is the program: bpf_redirect_map to the socket of the frame's queue.
// Where there is none the frame is dropped: it is the switch's, not the host's.
func redirect(sockets int) asm.Instructions {
	const (
		rxQueue = 16 // struct xdp_md, rx_queue_index
		drop    = 1  // XDP_DROP
	)
	return asm.Instructions{
		asm.LoadMem(asm.R2, asm.R1, rxQueue, asm.Word),
		asm.LoadMapPtr(asm.R1, sockets),
		asm.Mov.Imm(asm.R3, drop),
		asm.FnRedirectMap.Call(),
		asm.Return(),
	}
}
