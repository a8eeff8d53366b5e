package flow

// Fields is a set of fields of a Key, for saying in one word which of them
// mattered: mask.Add(flow.EthSrc | flow.VLANVID).
type Fields uint64

// The fields, named after those of ovs-fields(7).
const (
	InPort Fields = 1 << iota
	RecircID
	EthDst
	EthSrc
	EthType
	Frag
	Proto // nw_proto, or the opcode of ARP
	VLANTPID
	VLANHas // presence of an outer tag
	VLANVID
	VLANPCP
	CVLANTPID
	CVLANHas // presence of an inner tag
	CVLANVID
	CVLANPCP
	IPv4Src // the first four bytes of Key.IPSrc: IPv4 and ARP
	IPv4Dst
	IPv6Src
	IPv6Dst
	TOS
	TTL
	TCPFlags
	IPLabel
	TPSrc // transport port, or ICMP type
	TPDst // transport port, or ICMP code
	MPLS
	ARPSHA
	ARPTHA
	NDTarget
	Metadata
	PacketType

	// OuterTag and InnerTag are all of the two VLAN tags.
	OuterTag = VLANTPID | VLANHas | VLANVID | VLANPCP
	InnerTag = CVLANTPID | CVLANHas | CVLANVID | CVLANPCP
)

// Add makes the fields matter, every bit of them.
func (m *Mask) Add(f Fields) {
	for ; f != 0; f &= f - 1 {
		m.add(f & -f)
	}
}

func (m *Mask) add(one Fields) {
	switch one {
	case InPort:
		m.InPort = ^PortNo(0)
	case RecircID:
		m.RecircID = ^uint32(0)
	case EthDst:
		fill(m.EthDst[:])
	case EthSrc:
		fill(m.EthSrc[:])
	case EthType:
		m.EthType = 0xffff
	case Frag:
		m.Frag = 0xff
	case Proto:
		m.Proto = 0xff
	case VLANTPID:
		m.VLAN[0].TPID = 0xffff
	case VLANHas:
		m.VLAN[0].TCI |= VLANPresent
	case VLANVID:
		m.VLAN[0].TCI |= VLANVIDMask
	case VLANPCP:
		m.VLAN[0].TCI |= VLANPCPMask
	case CVLANTPID:
		m.VLAN[1].TPID = 0xffff
	case CVLANHas:
		m.VLAN[1].TCI |= VLANPresent
	case CVLANVID:
		m.VLAN[1].TCI |= VLANVIDMask
	case CVLANPCP:
		m.VLAN[1].TCI |= VLANPCPMask
	case IPv4Src:
		fill(m.IPSrc[:4])
	case IPv4Dst:
		fill(m.IPDst[:4])
	case IPv6Src:
		fill(m.IPSrc[:])
	case IPv6Dst:
		fill(m.IPDst[:])
	case TOS:
		m.TOS = 0xff
	case TTL:
		m.TTL = 0xff
	case TCPFlags:
		m.TCPFlags = 0xffff
	case IPLabel:
		m.IPLabel = 0xffffffff
	case TPSrc:
		m.TPSrc = 0xffff
	case TPDst:
		m.TPDst = 0xffff
	case MPLS:
		m.MPLS = 0xffffffff
	case ARPSHA:
		fill(m.ARPSHA[:])
	case ARPTHA:
		fill(m.ARPTHA[:])
	case NDTarget:
		fill(m.NDTarget[:])
	case Metadata:
		m.Metadata = ^uint64(0)
	case PacketType:
		m.PacketType = ^uint32(0)
	}
}

func fill(b []byte) {
	for i := range b {
		b[i] = 0xff
	}
}
