package sflow

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"time"

	"govs/datapath/action"
	"govs/datapath/flow"
	"govs/datapath/header"
	"govs/datapath/port"
)

// Defaults of ovs-vswitchd.conf.db(5).
const (
	DefaultSampling = 400
	DefaultHeader   = 128
	DefaultPolling  = 30 * time.Second
	DefaultPort     = 6343
)

// MaxHeader is how many bytes of a packet a flow sample has room for.
const MaxHeader = 1024

const (
	maxDatagram = 1400 // bytes
	maxWaiting  = 64   // datagrams that wait to be sent
)

// The source of flow samples: class 2 (a logical entity), index 1000.
const source = 2<<24 | 1000

// Settings are what samples depend on.
type Settings struct {
	Rate    uint32        // one packet in so many; 0 is none
	Header  int           // bytes of a packet
	Polling time.Duration // between counters samples; 0 is none
	SubID   uint32        // tells the agents of one host apart
	Ports   []Port
	// Datapath gives the counters of the datapath; nil leaves them out.
	Datapath func() Datapath
}

// A Port is an interface of the bridge.
type Port struct {
	No         flow.PortNo // in the engine
	Name       string
	OFPort     uint32
	DatapathID uint64
	Ifindex    uint32 // 0 for none
	Read       func() (port.State, port.Stats)
}

// Datapath is the work of the datapath and of its process.
type Datapath struct {
	Hits, Misses, Lost, Flows  uint32
	UserMillis, KernelMillis   uint32
	MemoryUsed, MemoryPhysical uint64 // bytes; 0 is not known
}

// An Agent makes datagrams of samples. It is safe for concurrent use.
type Agent struct {
	mu      sync.Mutex
	set     Settings
	address netip.Addr // not valid: nothing is told
	boot    time.Time
	ifindex map[flow.PortNo]uint32
	polls   map[uint32]uint32 // counters samples so far, by ifindex; 0 the datapath's
	polled  time.Time

	datagrams, flows, pool, drops uint32 // so far

	samples []byte // of the datagram that is being filled
	count   uint32
	full    []filled
}

type filled struct {
	samples []byte
	count   uint32
}

// NewAgent returns an agent without an address. Uptimes count from boot.
func NewAgent(boot time.Time) *Agent {
	return &Agent{boot: boot, polls: make(map[uint32]uint32)}
}

// Configure changes the settings and the agent's address.
func (a *Agent) Configure(s Settings, address netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s.Header = min(max(s.Header, header.EthernetLen), MaxHeader)
	a.set, a.address = s, address
	a.ifindex = make(map[flow.PortNo]uint32, len(s.Ports))
	for _, p := range s.Ports {
		a.ifindex[p.No] = p.Ifindex
	}
}

// Flow takes a flow sample. It says true when a datagram is full.
func (a *Agent) Flow(t *action.Taken) bool {
	c, ok := t.Cookie.(action.SFlow)
	if !ok {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.flows++
	a.pool += a.set.Rate
	if len(a.full) >= maxWaiting || !a.address.IsValid() {
		a.drops++
		return true
	}
	frame := t.Packet.Bytes()
	head := frame[:min(len(frame), a.set.Header)]
	vlan, priority := tag(frame)

	before := len(a.full)
	start := a.begin(sampleFlow, 288+len(head))
	b := a.samples
	b = words(b, a.flows, source, a.set.Rate, a.pool, a.drops, a.ifindex[t.In], c.Output, 2+tunnelRecords(&c.From)+tunnelRecords(&c.To))
	b = words(b, recordSwitch, 16, vlan, priority, uint32(c.TCI&flow.VLANVIDMask), uint32(c.TCI>>13))
	const fcs = 4
	padded := (len(head) + 3) &^ 3
	b = words(b, recordHeader, uint32(16+padded), protocolEthernet, uint32(len(frame)+fcs), fcs, uint32(len(head)))
	b = append(append(b, head...), make([]byte, padded-len(head))...)
	b = appendTunnel(b, &c.From, t.TunnelPort, recordVNIIngress, recordTunnelIngress)
	b = appendTunnel(b, &c.To, 0, recordVNIEgress, recordTunnelEgress)
	a.samples = b
	a.end(start)
	return len(a.full) > before
}

// tunnelRecords is how many records tell of a tunnel.
func tunnelRecords(t *action.Tunnel) uint32 {
	switch {
	case t.Kind == 0:
		return 0
	case t.HasKey:
		return 2
	}
	return 1
}

// appendTunnel writes what is known of a tunnel: its key, if it has one, and
// its outer header ("sFlow Tunnel Structures" of sflow.org). port is the source
// port of UDP, 0 where it is not known.
func appendTunnel(b []byte, t *action.Tunnel, port uint16, vni, outer uint32) []byte {
	if t.Kind == 0 {
		return b
	}
	if t.HasKey {
		b = words(b, vni, 4, t.Key)
	}
	size := uint32(32)
	if !t.Src.Is4() {
		outer, size = outer+forIPv6, 56
	}
	b = words(b, outer, size, 0, uint32(t.Kind.Proto())) // 0: the length is not known
	b = append(append(b, t.Src.AsSlice()...), t.Dst.AsSlice()...)
	return words(b, uint32(port), uint32(t.Port), 0, uint32(t.TOS)) // 0: flags of TCP
}

// tag is the VLAN and the priority of a frame's outermost tag.
func tag(frame []byte) (vlan, priority uint32) {
	const tagged = header.EthernetLen + header.VLANLen
	if len(frame) < tagged || !header.IsVLAN(binary.BigEndian.Uint16(frame[12:])) {
		return 0, 0
	}
	tci := uint32(binary.BigEndian.Uint16(frame[14:]))
	return tci & flow.VLANVIDMask, tci >> 13
}

// Formats of samples and records (enterprise 0).
const (
	sampleFlow     = 1
	sampleCounters = 2

	recordHeader        = 1 // of flow samples
	recordSwitch        = 1001
	recordTunnelEgress  = 1023 // over IPv4
	recordTunnelIngress = 1024
	forIPv6             = 2 // is between those and the ones over IPv6
	recordVNIEgress     = 1029
	recordVNIIngress    = 1030

	recordGeneric   = 1 // of counters samples
	recordEthernet  = 2
	recordOpenFlow  = 1004
	recordName      = 1005
	recordResources = 2203
	recordDatapath  = 2207

	protocolEthernet = 1
	unknown          = 1<<32 - 1 // a counter that is not there
)

func words(b []byte, list ...uint32) []byte {
	for _, w := range list {
		b = binary.BigEndian.AppendUint32(b, w)
	}
	return b
}

// begin starts a sample of at most that many bytes, in the next datagram
// where this one has no room.
func (a *Agent) begin(format uint32, size int) int {
	if len(a.samples) > 0 && a.headerLen()+len(a.samples)+8+size > maxDatagram {
		a.close()
	}
	a.samples = words(a.samples, format, 0)
	return len(a.samples)
}

// end writes the length of the sample that began there.
func (a *Agent) end(start int) {
	binary.BigEndian.PutUint32(a.samples[start-4:], uint32(len(a.samples)-start))
	a.count++
}

func (a *Agent) close() {
	if a.count > 0 {
		a.full = append(a.full, filled{a.samples, a.count})
	}
	a.samples, a.count = make([]byte, 0, maxDatagram), 0
}

// headerLen is the length of a datagram's header.
func (a *Agent) headerLen() int {
	if a.address.Is4() {
		return 28
	}
	return 40
}

// Run returns the datagrams that are due: counters where it is time for them,
// and the flow samples that came in.
func (a *Agent) Run(now time.Time) [][]byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.address.IsValid() {
		return nil
	}
	if a.set.Polling > 0 && now.Sub(a.polled) >= a.set.Polling {
		a.polled = now
		a.poll()
	}
	a.close()
	return a.take(now)
}

// Full returns the datagrams that have no room left.
func (a *Agent) Full(now time.Time) [][]byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.take(now)
}

func (a *Agent) take(now time.Time) (out [][]byte) {
	for _, f := range a.full {
		kind := uint32(1)
		if !a.address.Is4() {
			kind = 2
		}
		a.datagrams++
		b := words(make([]byte, 0, a.headerLen()+len(f.samples)), 5, kind)
		b = append(b, a.address.AsSlice()...)
		b = words(b, a.set.SubID, a.datagrams, uint32(now.Sub(a.boot).Milliseconds()), f.count)
		out = append(out, append(b, f.samples...))
	}
	a.full = a.full[:0]
	return out
}

// poll takes counters samples of the datapath and of each interface.
func (a *Agent) poll() {
	if a.set.Datapath != nil {
		d := a.set.Datapath()
		start := a.begin(sampleCounters, 100)
		a.polls[0]++
		b := words(a.samples, a.polls[0], source, 2)
		b = words(b, recordResources, 40, d.UserMillis, d.KernelMillis)
		b = binary.BigEndian.AppendUint64(b, d.MemoryUsed)
		b = binary.BigEndian.AppendUint64(b, d.MemoryPhysical)
		b = words(b, 0, 0, 0, 0) // files, connections
		a.samples = words(b, recordDatapath, 24, d.Hits, d.Misses, d.Lost, unknown, d.Flows, unknown)
		a.end(start)
	}
	for _, p := range a.set.Ports {
		if p.Ifindex != 0 && p.Read != nil {
			a.counters(&p)
		}
	}
}

func (a *Agent) counters(p *Port) {
	st, n := p.Read()
	a.polls[p.Ifindex]++
	start := a.begin(sampleCounters, 220+len(p.Name))
	b := words(a.samples, a.polls[p.Ifindex], p.Ifindex, 4)

	b = words(b, recordEthernet, 52)
	alignment, fcs := uint32(unknown), uint32(unknown)
	discards, errs, outDiscards, outErrs := uint32(unknown), uint32(unknown), uint32(unknown), uint32(unknown)
	if !n.Basic {
		alignment, fcs = uint32(n.RxFrameErr), uint32(n.RxCRCErr)
		discards, errs = uint32(n.RxDropped), uint32(n.RxErrors)
		outDiscards, outErrs = uint32(n.TxDropped), uint32(n.TxErrors)
	}
	b = words(b, alignment, fcs)
	for range 11 {
		b = words(b, unknown)
	}

	b = words(b, recordOpenFlow, 12)
	b = binary.BigEndian.AppendUint64(b, p.DatapathID)
	b = words(b, p.OFPort)

	padded := (len(p.Name) + 3) &^ 3
	b = words(b, recordName, uint32(4+padded), uint32(len(p.Name)))
	b = append(append(b, p.Name...), make([]byte, padded-len(p.Name))...)

	const ethernet = 6 // ifType of RFC 2863's registry: ethernetCsmacd
	speed, direction, status := st.Speed, uint32(0), uint32(0)
	if speed == 0 {
		speed = 100e6 // as the C switch says where it does not know
	}
	switch st.Duplex {
	case "full":
		direction = 1
	case "half":
		direction = 2
	}
	if st.Admin {
		status |= 1
	}
	if st.Link {
		status |= 2
	}
	b = words(b, recordGeneric, 88, p.Ifindex, ethernet)
	b = binary.BigEndian.AppendUint64(b, speed)
	b = words(b, direction, status)
	b = binary.BigEndian.AppendUint64(b, n.RxBytes)
	b = words(b, uint32(n.RxPackets), unknown, unknown, discards, errs, unknown)
	b = binary.BigEndian.AppendUint64(b, n.TxBytes)
	b = words(b, uint32(n.TxPackets), unknown, unknown, outDiscards, outErrs, 0)
	a.samples = b
	a.end(start)
}
