package ebpf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"govs/datapath/engine"
	"govs/datapath/flow"
	"govs/datapath/meter"
	"govs/datapath/port"
)

// A hook is a program's place at a device.
type hook struct {
	index int
	link  link.Link
	pin   string // its file, "" where there is none
	old   bool   // the program is still that of another process
}

// A member is a port of the engine.
type member struct {
	c    *Cache
	no   flow.PortNo
	at   uint32 // in the map of ports
	port port.Port
	gone bool // from the engine

	in    bool // its packets can be looked at
	live  bool // they are
	out   bool // packets can be sent to it
	kind  uint32
	mtu   int
	state port.State
	tap   *hook // of a TAP device
	lists map[*listUse]bool

	rxPackets, rxBytes, txPackets, txBytes uint64
}

var (
	_ port.Guard        = (*Cache)(nil)
	_ engine.CachedPort = (*member)(nil)
)

// device is a port on a network device of the kernel.
type device interface {
	port.Port
	Index() int
	Across() bool // the device's other end is in another namespace
}

// hostSide is a port of which the host's stack has the device: what the
// switch sends, the device receives.
type hostSide interface{ HostSide() }

// Guard implements port.Guard: the socket gets its filter, which lets nothing
// pass until the cache is committed and everything until the port is attached,
// and the ingress program is put at the head of the device's programs, in the
// place of the one of a process before, if that left one.
func (c *Cache) Guard(index int, socket syscall.RawConn) (release func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errors.New("the flow cache is closed")
	}
	h, err := c.hook(index, c.progs.ingress, ebpf.AttachTCXIngress, c.pins != "")
	if err != nil {
		return nil, err
	}
	var serr error
	err = socket.Control(func(fd uintptr) {
		serr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_BPF, c.progs.socket.FD())
	})
	if err = errors.Join(err, serr); err != nil {
		c.unhook(h)
		return nil, fmt.Errorf("SO_ATTACH_BPF: %w", err)
	}
	c.hooks[index] = h
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.hooks[index] == h {
			delete(c.hooks, index)
		}
		if !c.closed {
			c.unhook(h)
		}
	}, nil
}

// hook attaches a program to a device, or finds what a process before has
// pinned there.
func (c *Cache) hook(index int, prog *ebpf.Program, where ebpf.AttachType, pin bool) (*hook, error) {
	h := &hook{index: index}
	if pin {
		h.pin = filepath.Join(c.pins, strconv.Itoa(index))
		if l, err := link.LoadPinnedLink(h.pin, nil); err == nil {
			if info, err := l.Info(); err == nil && info.TCX() != nil && int(info.TCX().Ifindex) == index {
				h.link, h.old = l, true
				return h, nil
			}
			l.Close() // of a device that is no more
		}
		_ = os.Remove(h.pin)
	}
	l, err := link.AttachTCX(link.TCXOptions{Interface: index, Program: prog, Attach: where, Anchor: link.Head()})
	if err != nil {
		return nil, fmt.Errorf("attaching to TCX: %w", reason(err))
	}
	h.link = l
	if pin {
		if err := l.Pin(h.pin); err != nil {
			c.log.Warn(fmt.Sprintf("a restart will interrupt the traffic of interface %d: %v", index, err))
			h.pin = ""
		}
	}
	return h, nil
}

// unhook takes the program away, unless it is to outlive the cache.
func (c *Cache) unhook(h *hook) {
	if h.pin != "" && !c.keep {
		_ = h.link.Unpin()
	}
	_ = h.link.Close()
}

// openPins makes the folder of the pins.
func (c *Cache) openPins() error {
	if c.pins == "" {
		return errors.New("no folder in a BPF file system is configured")
	}
	// The file system itself is mounted by others, as the host's init does.
	for dir := filepath.Clean(c.pins); ; dir = filepath.Dir(dir) {
		var st unix.Statfs_t
		err := unix.Statfs(dir, &st)
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
		if int64(st.Type) != unix.BPF_FS_MAGIC {
			return fmt.Errorf("%s is not in a BPF file system", c.pins)
		}
		break
	}
	return os.MkdirAll(c.pins, 0o700)
}

// Commit says that the engine knows what to do with packets: the ports that
// were attached so far go live, those that come later at once. Programs that
// a process before has left on other devices go.
func (c *Cache) Commit() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.committed || c.closed {
		return
	}
	c.committed = true
	for _, m := range c.members {
		if m.in {
			c.goLive(m)
		}
	}
	// From now on devices that are not known yet, or not any more, have no other
	// program of ours behind the socket.
	c.conf.u32(0, coOpen).Store(1)
	if c.pins == "" {
		return
	}
	files, _ := os.ReadDir(c.pins)
	for _, f := range files {
		index, err := strconv.Atoi(f.Name())
		if err == nil && c.hooks[index] != nil {
			continue
		}
		name := filepath.Join(c.pins, f.Name())
		if err := os.Remove(name); err == nil {
			c.log.Info(fmt.Sprintf("removed a program that another process left behind (%s)", strings.TrimPrefix(name, "/sys/fs/bpf/")))
		}
	}
}

// Attach implements engine.FlowCache. The error says why the port's packets
// cannot be looked at here; packets can be sent to it all the same where it
// has a device.
func (c *Cache) Attach(no flow.PortNo, p port.Port) (engine.CachedPort, error) {
	d, ok := p.(device)
	if !ok {
		return nil, errors.New("not a network device")
	}
	c.mu.Lock()
	hooked := c.hooks[d.Index()] != nil
	c.mu.Unlock()
	if g, ok := p.(port.Guarded); ok && !hooked {
		if err := g.SetGuard(c); err != nil {
			return nil, err
		}
	}
	across := d.Across()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errors.New("the flow cache is closed")
	}
	at, ok := c.places.take()
	if !ok {
		return nil, fmt.Errorf("no more than %d ports", maxPorts)
	}
	m := &member{c: c, no: no, at: at, port: p, out: true, lists: make(map[*listUse]bool)}
	c.ports.clear(at)
	c.ports.u32(at, pNumber).Store(uint32(no))
	c.members[no] = m
	var err error
	if _, host := p.(hostSide); host {
		m.tap, err = c.hook(d.Index(), c.progs.egress, ebpf.AttachTCXEgress, false)
	} else if c.hooks[d.Index()] == nil {
		err = errors.New("the port has another guard")
	}
	m.in = err == nil
	c.follow(m, across)
	if m.in && c.committed {
		c.goLive(m)
	}
	return m, err
}

// goLive begins to look at a port's packets.
func (c *Cache) goLive(m *member) {
	index := m.port.(device).Index()
	if h := c.hooks[index]; h != nil && h.old {
		if err := h.link.Update(c.progs.ingress); err != nil {
			c.log.Warn(fmt.Sprintf("%s: taking over from another process: %v", m.port.Name(), err))
		}
		h.old = false
	}
	c.ports.u32(m.at, pFlags).Or(portLive)
	if err := c.maps.devices.Put(uint32(index), m.at); err != nil {
		c.log.Warn(fmt.Sprintf("%s: %v", m.port.Name(), err))
		return
	}
	m.live = true
}

func (c *Cache) byPlace(at uint32) *member {
	for _, m := range c.members {
		if m.at == at {
			return m
		}
	}
	return nil
}

// follow makes what packets to the port meet fit the port's state.
func (c *Cache) follow(m *member, across bool) {
	m.state = m.port.State()
	m.mtu, m.kind = m.state.MTU, outDevice
	_, host := m.port.(hostSide)
	switch {
	case m.gone || !m.state.Admin || m.state.Ifindex == 0:
		m.kind = outNone
	case host:
		m.kind = outReceive
	case across:
		m.kind = outPeer
	}
	c.ports.u32(m.at, pIfindex).Store(uint32(m.state.Ifindex))
	c.ports.u32(m.at, pKind).Store(m.kind)
	for u := range m.lists {
		_ = c.write(u)
	}
}

// Refresh implements engine.CachedPort.
func (m *member) Refresh() {
	c := m.c
	now := m.port.State()
	d := m.port.(device)
	across := d.Across()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || m.gone {
		return
	}
	back := m.tap != nil && m.state.Ifindex == 0 && now.Ifindex != 0
	c.follow(m, across)
	if back { // from another namespace, which took the program away
		_ = m.tap.link.Close()
		if h, err := c.hook(d.Index(), c.progs.egress, ebpf.AttachTCXEgress, false); err == nil {
			m.tap = h
		}
	}
}

// Police implements engine.CachedPort.
func (m *member) Police(conf meter.Config) bool {
	c := m.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || m.gone || !m.in {
		return false
	}
	flags := c.ports.u32(m.at, pFlags)
	if conf.Unlimited() {
		flags.And(^uint32(portPoliced))
		return true
	}
	flags.And(^uint32(portPoliced)) // not half of it
	bits, packets := conf.Buckets()
	now := float64(monotonic())
	for _, one := range []struct {
		b     meter.Bucket
		at    int
		units float64 // tokens of a byte, or of a packet
	}{{bits, pBitCost, 8}, {packets, pPktCost, 1}} {
		if one.b.Rate == 0 {
			c.ports.u64(m.at, one.at).Store(0)
			continue
		}
		token := 1e9 / one.b.Rate // nanoseconds
		c.ports.u64(m.at, one.at).Store(uint64(max(1, one.units*token*65536)))
		c.ports.u64(m.at, one.at+8).Store(uint64(one.b.Depth * token))
		c.ports.u64(m.at, one.at+16).Store(uint64(now + (one.b.Depth-one.b.Burst)*token))
	}
	flags.Or(portPoliced)
	return true
}

// Stats implements engine.CachedPort.
func (m *member) Stats() (s engine.PortHits) {
	c := m.c
	c.mu.Lock()
	defer c.mu.Unlock()
	c.collect()
	s = engine.PortHits{RxPackets: m.rxPackets, RxBytes: m.rxBytes, TxPackets: m.txPackets, TxBytes: m.txBytes}
	if !c.closed && !m.gone {
		s.Policed = c.ports.u64(m.at, pPoliced).Load()
		// What is policed here was received all the same.
		s.RxPackets += s.Policed
		s.RxBytes += c.ports.u64(m.at, pPolByte).Load()
	}
	return s
}

// Detach implements engine.CachedPort.
func (m *member) Detach() {
	c := m.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || m.gone || c.keep {
		return
	}
	m.gone = true
	if m.live {
		_ = c.maps.devices.Delete(uint32(m.port.(device).Index()))
		m.live = false
	}
	c.ports.u32(m.at, pFlags).Store(0)
	c.follow(m, false)
	if m.tap != nil {
		c.unhook(m.tap)
	}
	delete(c.members, m.no)
	c.retire(m)
}

// retire gives the place of a port back that is gone, once no list sends to it.
func (c *Cache) retire(m *member) {
	if m.gone && len(m.lists) == 0 && m.at != noPlace {
		c.places.give(m.at)
		m.at = noPlace
	}
}

const noPlace = ^uint32(0)
