package afpacket

import (
	"fmt"

	"golang.org/x/sys/unix"

	"govs/datapath/port"
)

// offloads are what virtio-net headers can say; the kernel completes what the
// device cannot do.
func offloads() port.Offloads {
	return port.Offloads{Csum: true, TSO4: true, TSO6: true, USO: kernelHas(6, 2)}
}

// kernelHas tells whether the kernel's release is at least major.minor.
func kernelHas(major, minor int) bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	var has [2]int
	if n, _ := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &has[0], &has[1]); n != 2 {
		return false
	}
	return has[0] > major || has[0] == major && has[1] >= minor
}

// Stats implements port.Port. Packets and bytes are the socket's: what the
// switch took in and gave out. A large segment counts once, as the kernel
// counts it. Errors are the device's since the port was opened, and the
// socket's.
func (p *Port) Stats() port.Stats {
	r, t := &p.rx, &p.tx
	s := port.Stats{
		RxPackets:  r.packets.Load(),
		RxBytes:    r.bytes.Load(),
		RxDropped:  p.socketDrops(),
		RxErrors:   r.errors.Load(),
		RxFrameErr: r.frame.Load(),
		RxOverErr:  r.over.Load(),
		TxPackets:  t.packets.Load(),
		TxBytes:    t.bytes.Load(),
		TxDropped:  t.dropped.Load(),
		TxErrors:   t.errors.Load(),
	}
	if !p.closed.Load() {
		p.Count(&s)
	}
	return s
}

// socketDrops is how many packets found the socket's buffer full. Reading
// the kernel's counter resets it.
func (p *Port) socketDrops() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed.Load() {
		return p.dropped
	}
	_ = p.conn.Control(func(fd uintptr) {
		if s, err := unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
			p.dropped += uint64(s.Drops)
		}
	})
	return p.dropped
}
