package ipfix

import (
	"encoding/binary"
	"time"
	"unique"

	"govs/datapath/action"
	"govs/datapath/flow"
	"govs/datapath/header"
	"govs/datapath/tunnel"
)

// A kind tells records of different shape apart: each has a template.
type kind struct {
	egress, vlan, tunnel bool
	l3, l4               uint8
}

// The layers 3 and 4 of a kind.
const (
	notIP, ipv4, ipv6             uint8 = 0, 1, 2
	otherL4, tcp, udp, sctp, icmp uint8 = 0, 1, 2, 3, 4
)

const (
	protoICMP, protoTCP, protoUDP, protoICMPv6, protoSCTP = 1, 6, 17, 58, 132

	vmware   = 6876 // enterprise number
	variable = 0xffff
)

// template is the number of the kind's template.
func (k kind) template() uint16 {
	n := 256 + uint16(k.l3)*20 + uint16(k.l4)*4
	if k.vlan {
		n += 60
	}
	if k.tunnel {
		n += 2
	}
	if k.egress {
		n++
	}
	return n
}

// kinds are all that there may be.
func kinds() (list []kind) {
	for _, vlan := range []bool{false, true} {
		for l3 := notIP; l3 <= ipv6; l3++ {
			for l4 := uint8(0); l4 <= icmp && (l3 != notIP || l4 == 0); l4++ {
				for _, tunnel := range []bool{false, true} {
					list = append(list, kind{false, vlan, tunnel, l3, l4}, kind{true, vlan, tunnel, l3, l4})
				}
			}
		}
	}
	return list
}

// A field of a template: an information element of IANA's registry, or of
// VMware's.
type field struct {
	id, length uint16
	enterprise uint32
}

// fields are those of the kind's records, in order. append writes their values.
func (k kind) fields(virtual bool) (list []field) {
	add := func(pairs ...uint16) {
		for i := 0; i < len(pairs); i += 2 {
			list = append(list, field{id: pairs[i], length: pairs[i+1]})
		}
	}
	// observationPointId, flowDirection, addresses, ethernetType, ethernetHeaderLength
	add(138, 4, 61, 1, 56, 6, 80, 6, 256, 2, 240, 1)
	add(10, 4, 368, 4, 82, variable, 83, variable) // ingressInterface, its type, name, description
	if k.egress {
		add(14, 4, 369, 4, 82, variable, 83, variable)
	}
	if k.vlan {
		add(58, 2, 243, 2, 244, 1) // vlanId, dot1qVlanId, dot1qPriority
	}
	if k.l3 != notIP {
		// ipVersion, ipTTL, protocolIdentifier, DSCP, precedence, class of service
		add(60, 1, 192, 1, 4, 1, 195, 1, 196, 1, 5, 1)
	}
	switch k.l3 {
	case ipv4:
		add(8, 4, 12, 4)
	case ipv6:
		add(27, 16, 28, 16, 31, 4) // addresses, flow label
	}
	switch k.l4 {
	case tcp, udp, sctp:
		add(7, 2, 11, 2)
	case icmp:
		if k.l3 == ipv4 {
			add(176, 1, 177, 1)
		} else {
			add(178, 1, 179, 1)
		}
	}
	if k.tunnel {
		// tunnelSourceIPv4Address, tunnelDestinationIPv4Address,
		// tunnelProtocolIdentifier, tunnelSourceTransportPort,
		// tunnelDestinationTransportPort, tunnelType, tunnelKey
		list = append(list, []field{{893, 4, vmware}, {894, 4, vmware}, {895, 1, vmware}, {896, 2, vmware}, {897, 2, vmware}, {891, 1, vmware}, {892, variable, vmware}}...)
	}
	if virtual {
		list = append(list, field{898, variable, vmware}) // virtualObsID
	}
	// flowStartDeltaMicroseconds, flowEndDeltaMicroseconds
	add(158, 4, 159, 4)
	// packets: dropped, all, ingress unicast, multicast and broadcast, egress
	// unicast and broadcast, sent as multicast; layer 2 octets; flowEndReason
	add(133, 8, 135, 8, 2, 8, 86, 8, 354, 8, 355, 8, 356, 8, 357, 8, 358, 8, 19, 8, 174, 8, 352, 8, 353, 8, 136, 1)
	if k.l3 != notIP {
		// octets of IP: dropped, all, sums of squares, least, most, sent as multicast
		add(132, 8, 134, 8, 1, 8, 85, 8, 198, 8, 199, 8, 25, 8, 26, 8, 20, 8, 175, 8)
	}
	if k.l4 == tcp {
		add(222, 8, 219, 8, 221, 8, 220, 8, 218, 8, 223, 8) // ACK, FIN, PSH, RST, SYN, URG
	}
	return list
}

// appendTemplate writes a template record (RFC 7011, section 3.4.1).
func (k kind) appendTemplate(b []byte, virtual bool) []byte {
	be := binary.BigEndian
	list := k.fields(virtual)
	b = be.AppendUint16(b, k.template())
	b = be.AppendUint16(b, uint16(len(list)))
	for _, f := range list {
		if f.enterprise != 0 {
			b = be.AppendUint16(b, f.id|0x8000)
			b = be.AppendUint16(b, f.length)
			b = be.AppendUint32(b, f.enterprise)
			continue
		}
		b = be.AppendUint16(b, f.id)
		b = be.AppendUint16(b, f.length)
	}
	return b
}

// id is what tells flows apart.
type id struct {
	kind
	in, out   flow.PortNo
	src, dst  [6]byte
	etherType uint16
	headerLen uint8
	tci       uint16
	proto     uint8
	ttl, tos  uint8
	ipSrc     [16]byte
	ipDst     [16]byte
	label     uint32
	tpSrc     uint16
	tpDst     uint16
	icmpTC    [2]uint8
	point     uint32                 // beside Settings.Point, which is 0 where this is not
	tunnels   unique.Handle[tunnels] // zero for none; keys beyond 128 bytes are slow
}

// tunnels are those that a packet came out of and goes into.
type tunnels struct {
	in, out string        // names of their interfaces, several of which share a port
	told    action.Tunnel // where the kind has one
	port    uint16        // of UDP, the source's of told
}

// tunnelled says what a cookie tells of tunnels.
func (f *id) tunnelled(cookie *action.IPFIX, port uint16, wanted bool) {
	if cookie.From.Name == "" && cookie.To.Name == "" {
		return
	}
	u := tunnels{in: cookie.From.Name, out: cookie.To.Name}
	t := &cookie.From
	if f.egress {
		t, port = &cookie.To, 0 // which is chosen later
	}
	if f.tunnel = wanted && tunnelType(t.Kind) != 0 && t.Src.Is4(); f.tunnel {
		u.told, u.port = *t, port
	}
	f.tunnels = unique.Make(u)
}

// tunnelType is what VMware's tunnelType calls a kind of tunnels, 0 where it
// has no word for it.
func tunnelType(k tunnel.Kind) uint8 {
	switch k {
	case tunnel.VXLAN:
		return 1
	case tunnel.GRE:
		return 2
	case tunnel.Geneve:
		return 7
	}
	return 0
}

// counters are a record's, of the packets since it was made or of all.
type counters struct {
	packets, dropped                             uint64
	inUnicast, inMulticast, inBroadcast          uint64
	outUnicast, outBroadcast, outMulticast       uint64
	layer2, octets, droppedOctets, multicastOcts uint64
	squares, least, most                         uint64
	ack, fin, psh, rst, syn, urg                 uint64
}

func (c *counters) add(o *counters) {
	c.packets += o.packets
	c.dropped += o.dropped
	c.inUnicast += o.inUnicast
	c.inMulticast += o.inMulticast
	c.inBroadcast += o.inBroadcast
	c.outUnicast += o.outUnicast
	c.outBroadcast += o.outBroadcast
	c.outMulticast += o.outMulticast
	c.layer2 += o.layer2
	c.octets += o.octets
	c.droppedOctets += o.droppedOctets
	c.multicastOcts += o.multicastOcts
	c.squares += o.squares
	if o.octets > 0 && (c.least == 0 || o.least < c.least) {
		c.least = o.least
	}
	c.most = max(c.most, o.most)
	c.ack += o.ack
	c.fin += o.fin
	c.psh += o.psh
	c.rst += o.rst
	c.syn += o.syn
	c.urg += o.urg
}

// observe finds a packet's flow, and what it counts there, but for
// tunnels.
func observe(frame []byte, k *flow.Key, cookie *action.IPFIX) (f id, c counters) {
	egress, dropped := cookie.Output != action.NoOutput, cookie.Dropped
	f = id{
		in: k.InPort, src: k.EthSrc, dst: k.EthDst, etherType: k.EthType, headerLen: header.EthernetLen,
	}
	f.egress = egress
	if egress {
		f.out = cookie.Output
	}
	for _, v := range k.VLAN {
		if v.Present() {
			f.headerLen += header.VLANLen
		}
	}
	if v := k.VLAN[0]; v.Present() {
		f.vlan, f.tci = true, v.TCI&^flow.VLANPresent
	}
	c = counters{packets: 1, layer2: uint64(len(frame))}
	ip := frame[min(len(frame), int(f.headerLen)):]
	be := binary.BigEndian
	switch {
	case k.EthType == header.TypeIPv4 && len(ip) >= 20:
		f.l3, c.octets = ipv4, uint64(be.Uint16(ip[2:]))
	case k.EthType == header.TypeIPv6 && len(ip) >= 40:
		f.l3, c.octets = ipv6, uint64(be.Uint16(ip[4:]))+40
		f.label = be.Uint32(ip) & 0xfffff
	}
	if f.l3 != notIP {
		f.proto, f.ttl, f.tos, f.ipSrc, f.ipDst = k.Proto, k.TTL, k.TOS, k.IPSrc, k.IPDst
		c.squares, c.least, c.most = c.octets*c.octets, c.octets, c.octets
		f.ports(k)
	}
	multicast := k.EthDst[0]&1 != 0
	broadcast := k.EthDst == [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	if dropped {
		c.dropped, c.droppedOctets = 1, c.octets
	}
	switch {
	case egress && broadcast:
		c.outBroadcast = 1
	case egress && multicast:
		c.outMulticast, c.multicastOcts = 1, c.octets
	case egress:
		c.outUnicast = 1
	case broadcast:
		c.inBroadcast = 1
	case multicast:
		c.inMulticast = 1
	default:
		c.inUnicast = 1
	}
	if f.l4 == tcp {
		bit := func(n uint16) uint64 { return uint64(k.TCPFlags >> n & 1) }
		c.fin, c.syn, c.rst, c.psh, c.ack, c.urg = bit(0), bit(1), bit(2), bit(3), bit(4), bit(5)
	}
	return f, c
}

// ports is what stands at layer 4.
func (f *id) ports(k *flow.Key) {
	l4 := otherL4
	switch {
	case k.Frag&flow.FragLater != 0:
	case k.Proto == protoTCP:
		l4 = tcp
	case k.Proto == protoUDP:
		l4 = udp
	case k.Proto == protoSCTP:
		l4 = sctp
	case f.l3 == ipv4 && k.Proto == protoICMP, f.l3 == ipv6 && k.Proto == protoICMPv6:
		f.l4, f.icmpTC = icmp, [2]uint8{uint8(k.TPSrc), uint8(k.TPDst)}
		return
	}
	if f.l4 = l4; l4 != otherL4 {
		f.tpSrc, f.tpDst = k.TPSrc, k.TPDst
	}
}

// appendRecord writes a data record. all are the counters of everything that
// was observed; a flow's totals are those of its record, which is all that is
// known of it. Times count back from export.
func (c *Cache) appendRecord(b []byte, f *id, n, all *counters, first, last, export time.Time, reason uint8) []byte {
	be := binary.BigEndian
	u64 := func(list ...uint64) {
		for _, v := range list {
			b = be.AppendUint64(b, v)
		}
	}
	var through tunnels
	if f.tunnels != (unique.Handle[tunnels]{}) {
		through = f.tunnels.Value()
	}
	iface := func(no flow.PortNo, tunnel string) {
		p := c.ports[no]
		if tunnel != "" {
			p = Port{Name: tunnel}
		}
		b = be.AppendUint32(b, p.Ifindex)
		b = be.AppendUint32(b, p.Type)
		b = appendString(b, p.Name)
		b = appendString(b, "")
	}
	b = be.AppendUint32(b, c.set.Point|f.point)
	direction := uint8(0)
	if f.egress {
		direction = 1
	}
	b = append(b, direction)
	b = append(append(b, f.src[:]...), f.dst[:]...)
	b = be.AppendUint16(b, f.etherType)
	b = append(b, f.headerLen)
	iface(f.in, through.in)
	if f.egress {
		iface(f.out, through.out)
	}
	if f.vlan {
		vid := f.tci & flow.VLANVIDMask
		b = be.AppendUint16(be.AppendUint16(b, vid), vid)
		b = append(b, uint8(f.tci>>13))
	}
	switch f.l3 {
	case ipv4:
		b = append(b, 4, f.ttl, f.proto, f.tos>>2, f.tos>>5, f.tos)
		b = append(append(b, f.ipSrc[:4]...), f.ipDst[:4]...)
	case ipv6:
		b = append(b, 6, f.ttl, f.proto, f.tos>>2, f.tos>>5, f.tos)
		b = append(append(b, f.ipSrc[:]...), f.ipDst[:]...)
		b = be.AppendUint32(b, f.label)
	}
	switch f.l4 {
	case tcp, udp, sctp:
		b = be.AppendUint16(be.AppendUint16(b, f.tpSrc), f.tpDst)
	case icmp:
		b = append(b, f.icmpTC[:]...)
	}
	if f.tunnel {
		t := &through.told
		b = append(append(b, t.Src.AsSlice()...), t.Dst.AsSlice()...)
		b = append(b, t.Kind.Proto())
		b = be.AppendUint16(be.AppendUint16(b, through.port), t.Port)
		b = append(b, tunnelType(t.Kind))
		key := be.AppendUint32(nil, t.Key)
		if t.Kind != tunnel.GRE {
			key = key[1:] // a VNI
		}
		b = append(append(b, uint8(len(key))), key...)
	}
	if c.set.Virtual != "" {
		b = appendString(b, c.set.Virtual)
	}
	ago := func(t time.Time) uint32 { return uint32(max(export.Sub(t), 0).Microseconds()) }
	b = be.AppendUint32(be.AppendUint32(b, ago(first)), ago(last))
	u64(n.dropped, n.dropped, n.packets, n.packets, all.inUnicast, all.inMulticast, all.inBroadcast,
		all.outUnicast, all.outBroadcast, n.outMulticast, n.outMulticast, n.layer2, n.layer2)
	b = append(b, reason)
	if f.l3 != notIP {
		u64(n.droppedOctets, n.droppedOctets, n.octets, n.octets, n.squares, n.squares, n.least, n.most,
			n.multicastOcts, n.multicastOcts)
	}
	if f.l4 == tcp {
		u64(n.ack, n.fin, n.psh, n.rst, n.syn, n.urg)
	}
	return b
}

// appendString writes a value of variable length (RFC 7011, section 7).
func appendString(b []byte, s string) []byte {
	if len(s) > 254 {
		s = s[:254]
	}
	return append(append(b, uint8(len(s))), s...)
}
