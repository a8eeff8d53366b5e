// Package afxdp is the port on a network device by AF_XDP sockets (AF_XDP in
// Linux's Documentation/networking/af_xdp.rst): an XDP program hands every frame
// that the device receives to a socket in memory shared with the kernel, before
// the host's stack sees it. There is one socket for each receive queue.
//
// A device whose driver has XDP of its own works in the mode native, with or
// without a copy of each frame; every other one in the mode generic, where the
// program runs after the kernel has made a packet of the frame.
//
// # Caveats
//
// AF_XDP knows neither large segments nor partial checksums: what goes out has
// been cut and completed before. Of a veth the far end stops making large
// segments while the port is open in the mode native; in the mode generic it has
// to be told so (ethtool -K DEV tso off gso off). Partial checksums that come
// from it are found out by their value.
//
// A VLAN tag that the far end leaves to its device's offload is lost before the
// program runs: ethtool -K DEV txvlan off there, rxvlan off here.
//
// A frame is at most 4096 bytes long. Frames that were sent can wait in the
// kernel until the next Send.
package afxdp

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"govs/datapath/packet"
	"govs/datapath/port"
	"govs/datapath/port/rtnl"
)

// A Mode is how frames come from the device.
type Mode uint8

// The modes of options:xdp-mode (ovs-vswitchd.conf.db(5)).
const (
	BestEffort Mode = iota // the best of the following that there is
	ZeroCopy               // native-with-zerocopy
	Native
	Generic
)

var modes = [...]string{"best-effort", "native-with-zerocopy", "native", "generic"}

func (m Mode) String() string { return modes[m] }

// ParseMode reads the name of a mode; the empty name is BestEffort.
func ParseMode(text string) (Mode, error) {
	for m, name := range modes {
		if text == name || text == "" {
			return Mode(m), nil
		}
	}
	return 0, fmt.Errorf("unknown xdp-mode %s", text)
}

// Options are what Open needs beside the device's name.
type Options struct {
	Pool  *packet.Pool // where received packets come from; required
	Log   *slog.Logger // nil for none
	Links *rtnl.Monitor
	Mode  Mode
	// NoNeedWakeup has the kernel look at the rings by itself, and Send wake it
	// each time: options:use-need-wakeup=false.
	NoNeedWakeup bool
}

// A Port is the sockets on one device. It implements port.Port, port.Admin,
// port.Notifier, port.Customs and port.Described.
type Port struct {
	*rtnl.Device
	log    *slog.Logger
	pool   *packet.Pool
	mode   Mode // in use
	wakeup bool // the kernel says when it has to be woken
	local  bool // frames come from this host, with what it left undone

	queues []*queue
	prog   link.Link
	poll   []unix.PollFd // of the queues, and of event
	event  int           // an eventfd that ends a Recv that waits

	inUse  sync.RWMutex // held by who looks at the rings; Close unmaps them afterwards
	closed atomic.Bool

	rxPackets, rxBytes, rxErrors            atomic.Uint64
	txPackets, txBytes, txDropped, txErrors atomic.Uint64
}

// Open makes a port of the device called name. The error wraps
// rtnl.ErrNotFound where there is none, and port.ErrUnsupported where the kernel
// or the device does not do what was asked.
func Open(name string, o Options) (*Port, error) {
	p := &Port{log: o.Log, pool: o.Pool, wakeup: !o.NoNeedWakeup, event: -1}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	if p.pool == nil {
		return nil, errors.New("afxdp: Options.Pool is required")
	}
	var err error
	if p.event, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	if p.Device, err = rtnl.Follow(name, o.Links, p.log, port.Offloads{}, p.wake); err != nil {
		unix.Close(p.event)
		return nil, fmt.Errorf("could not open network device %s (%w)", name, err)
	}
	if err := p.open(o.Mode); err != nil {
		p.Release()
		unix.Close(p.event)
		return nil, fmt.Errorf("could not open network device %s (%w)", name, err)
	}
	return p, nil
}

// open tries the modes that are allowed, the fastest first.
func (p *Port) open(mode Mode) error {
	tries := []Mode{mode}
	if mode == BestEffort {
		tries = []Mode{ZeroCopy, Native, Generic}
	}
	var all error
	for _, m := range tries {
		err := p.try(m)
		if err == nil {
			p.mode = m
			p.local = p.State().Driver == "veth"
			for _, q := range p.queues {
				p.poll = append(p.poll, unix.PollFd{Fd: int32(q.fd), Events: unix.POLLIN})
			}
			p.poll = append(p.poll, unix.PollFd{Fd: int32(p.event), Events: unix.POLLIN})
			return nil
		}
		p.log.Debug(fmt.Sprintf("%s: xdp-mode %s: %v", p.Name(), m, err))
		all = errors.Join(all, fmt.Errorf("xdp-mode %s: %w", m, err))
	}
	return all
}

// A port that was closed a moment ago may still hold the device's queues.
const (
	busyTries = 100
	busyPause = 10 * time.Millisecond
)

// try opens the sockets and attaches the program in a mode.
func (p *Port) try(m Mode) (err error) {
	sockets, err := ebpf.NewMap(&ebpf.MapSpec{Name: "govs_xsk", Type: ebpf.XSKMap, KeySize: 4, ValueSize: 4, MaxEntries: maxQueues})
	if err != nil {
		return fmt.Errorf("%w: XSKMAP: %w", port.ErrUnsupported, err)
	}
	defer sockets.Close()
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "govs_afxdp", Type: ebpf.XDP, License: "Apache-2.0", Instructions: redirect(sockets.FD())})
	if err != nil {
		return fmt.Errorf("%w: loading a program: %w", port.ErrUnsupported, err)
	}
	defer prog.Close()
	flags := link.XDPDriverMode
	if m == Generic {
		flags = link.XDPGenericMode
	}
	// Before the sockets: in the mode native a device may set its queues anew.
	l, err := link.AttachXDP(link.XDPOptions{Program: prog, Interface: p.Index(), Flags: flags})
	if err != nil {
		return fmt.Errorf("%w: attaching a program: %w", port.ErrUnsupported, err)
	}
	defer func() {
		if err != nil {
			_ = l.Close()
			for _, q := range p.queues {
				q.close()
			}
			p.queues = nil
		}
	}()
	for id := range queuesOf(p.Name()) {
		var q *queue
		for range busyTries {
			if q, err = newQueue(p.Index(), id, m == ZeroCopy, p.wakeup); !errors.Is(err, unix.EBUSY) {
				break
			}
			time.Sleep(busyPause)
		}
		if err != nil {
			return fmt.Errorf("queue %d: %w", id, err)
		}
		p.queues = append(p.queues, q)
		if err = sockets.Put(uint32(id), uint32(q.fd)); err != nil {
			return fmt.Errorf("queue %d: %w", id, err)
		}
	}
	p.prog = l
	return nil
}

// maxQueues is how many receive queues a device may have.
const maxQueues = 64

// queuesOf is how many receive queues a device has.
func queuesOf(name string) int {
	list, _ := filepath.Glob("/sys/class/net/" + name + "/queues/rx-*")
	return min(max(len(list), 1), maxQueues)
}

// wake makes a Recv that waits look again.
func (p *Port) wake() {
	one := [8]byte{1}
	_, _ = unix.Write(p.event, one[:])
}

// Recv implements port.Port.
func (p *Port) Recv(b *packet.Batch) error {
	p.inUse.RLock()
	defer p.inUse.RUnlock()
	for {
		if p.closed.Load() || p.Gone() {
			return p.over()
		}
		for _, q := range p.queues {
			p.take(q, b)
		}
		if b.Len() > 0 {
			return nil
		}
		for i := range p.poll {
			p.poll[i].Revents = 0
		}
		// Who asks the kernel to wait also wakes it, where it wants that.
		if _, err := unix.Poll(p.poll, -1); err != nil && err != unix.EINTR {
			return p.over()
		}
	}
}

// take reads what a queue has.
func (p *Port) take(q *queue, b *packet.Batch) {
	room := packet.MaxBatch - b.Len()
	n := min(q.rx.waiting(), uint32(room))
	if n == 0 {
		return
	}
	var packets, bytes uint64
	for i := range n {
		d := q.rx.desc(i)
		if f := q.chunk(d); len(f) < 14 {
			p.rxErrors.Add(1)
		} else {
			pkt := p.pool.Get(len(f))
			pkt.SetLen(len(f))
			copy(pkt.Bytes(), f)
			if p.local {
				pkt.Offload = unfinished(f)
			}
			b.Add(pkt)
			packets++
			bytes += uint64(len(f))
		}
		q.fill.setAddr(i, d.Addr&^(chunkSize-1))
	}
	q.rx.consume(n)
	q.fill.produce(n)
	if p.wakeup && q.fill.asksWakeup() {
		_, _, _ = unix.Recvfrom(q.fd, nil, unix.MSG_DONTWAIT)
	}
	p.rxPackets.Add(packets)
	p.rxBytes.Add(bytes)
}

// over is the error of a port that is no more.
func (p *Port) over() error {
	if p.closed.Load() {
		return port.ErrClosed
	}
	return port.ErrGone
}

// State implements port.Port.
func (p *Port) State() port.State {
	s := p.Device.State()
	s.MTU = min(s.MTU, maxMTU)
	return s
}

// maxMTU is the MTU with which a frame with two VLAN tags fits a chunk in the
// mode native, where the kernel keeps 256 bytes in front of it.
const maxMTU = chunkSize - 256 - 14 - 2*4

// Send implements port.Port.
func (p *Port) Send(b *packet.Batch) error {
	p.inUse.RLock()
	defer p.inUse.RUnlock()
	if p.closed.Load() || p.Gone() {
		return p.over()
	}
	q, st := p.queues[0], p.Device.State()
	q.reclaim()
	var packets, bytes uint64
	failed := false
	flush := func(n uint32) {
		if n == 0 {
			return
		}
		q.tx.produce(n)
		if !p.kick(q) {
			p.txErrors.Add(uint64(n)) // the device takes nothing at the moment
			packets, bytes, failed = 0, 0, true
			return
		}
		p.txPackets.Add(packets)
		p.txBytes.Add(bytes)
		packets, bytes = 0, 0
	}
	var n uint32
	for _, pkt := range b.Packets {
		f := pkt.Bytes()
		if len(f) < 14 || len(f) > chunkSize || len(f) > limit(f, st.MTU) {
			p.txErrors.Add(1)
			continue
		}
		addr, ok := q.free()
		if !ok {
			flush(n)
			n = 0
			if q.reclaim(); len(q.unused) > 0 {
				addr, ok = q.free()
			}
		}
		if !ok {
			p.txDropped.Add(1)
			continue
		}
		copy(q.umem[addr:], f)
		q.tx.setDesc(n, addr, uint32(len(f)))
		n++
		packets++
		bytes += uint64(len(f))
		if n == packet.MaxBatch { // as many as the kernel takes in one call
			flush(n)
			n = 0
		}
	}
	flush(n)
	if failed && p.Lost() {
		return p.over()
	}
	return nil
}

// limit is the length that a device with an MTU sends: one 802.1Q tag does not
// count.
func limit(f []byte, mtu int) int {
	n := 14 + mtu
	if f[12] == 0x81 && f[13] == 0 {
		n += 4
	}
	return n
}

// kick has the kernel send what is in the ring, and says whether the device
// takes it, now or later.
func (p *Port) kick(q *queue) bool {
	if p.wakeup && !q.tx.asksWakeup() {
		return true
	}
	for {
		switch err := unix.Sendto(q.fd, nil, unix.MSG_DONTWAIT, nil); err {
		case unix.EINTR:
		case nil, unix.EAGAIN, unix.EBUSY, unix.ENOBUFS: // the rest goes with the next one
			return true
		default: // ENETDOWN, ENXIO
			return false
		}
	}
}

// Stats implements port.Port. Frames that found a ring full are rx_dropped.
func (p *Port) Stats() port.Stats {
	s := port.Stats{
		RxPackets: p.rxPackets.Load(), RxBytes: p.rxBytes.Load(), RxErrors: p.rxErrors.Load(),
		TxPackets: p.txPackets.Load(), TxBytes: p.txBytes.Load(), TxDropped: p.txDropped.Load(), TxErrors: p.txErrors.Load(),
	}
	for _, x := range p.statistics() {
		s.RxDropped += x.Rx_dropped + x.Rx_ring_full
		s.RxErrors += x.Rx_invalid_descs
		s.TxErrors += x.Tx_invalid_descs
	}
	if !p.closed.Load() {
		p.Count(&s)
	}
	return s
}

// statistics are the kernel's counters of the sockets.
func (p *Port) statistics() []unix.XDPStatistics {
	p.inUse.RLock()
	defer p.inUse.RUnlock()
	if p.closed.Load() {
		return nil
	}
	var all []unix.XDPStatistics
	for _, q := range p.queues {
		all = append(all, q.statistics())
	}
	return all
}

// Custom implements port.Customs.
func (p *Port) Custom() map[string]uint64 {
	m := make(map[string]uint64)
	for i, x := range p.statistics() {
		for name, v := range map[string]uint64{
			"rx_dropped": x.Rx_dropped, "rx_invalid_descs": x.Rx_invalid_descs, "tx_invalid_descs": x.Tx_invalid_descs,
			"rx_ring_full": x.Rx_ring_full, "rx_fill_ring_empty_descs": x.Rx_fill_ring_empty_descs,
			"tx_ring_empty_descs": x.Tx_ring_empty_descs,
		} {
			m[fmt.Sprintf("xsk_queue_%d_%s", i, name)] = v
		}
	}
	return m
}

// Describe implements port.Described.
func (p *Port) Describe() map[string]string {
	return map[string]string{"xdp-mode": p.mode.String(), "use-need-wakeup": fmt.Sprint(p.wakeup), "n_rxq": fmt.Sprint(len(p.queues))}
}

// Close implements port.Port. The memory is given back once nobody looks at it
// any more, which is soon.
func (p *Port) Close() error {
	if p.closed.Swap(true) {
		return nil
	}
	p.Release()
	err := p.prog.Close()
	p.wake()
	go func() {
		p.inUse.Lock()
		defer p.inUse.Unlock()
		for _, q := range p.queues {
			q.close()
		}
		unix.Close(p.event)
	}()
	if errors.Is(err, os.ErrNotExist) { // the device is gone, and the program with it
		err = nil
	}
	return err
}
