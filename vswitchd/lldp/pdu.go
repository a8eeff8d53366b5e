package lldp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
)

var be = binary.BigEndian

// EtherType is that of LLDP (IEEE 802.1AB-2009, clause 8.3).
const EtherType = 0x88cc

// Group is where frames go: the nearest bridge (clause 7.1).
var Group = [6]byte{0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e}

// Types of TLVs (table 8-1).
const (
	tlvEnd          = 0
	tlvChassis      = 1
	tlvPort         = 2
	tlvTTL          = 3
	tlvPortDescr    = 4
	tlvSystem       = 5
	tlvSystemDescr  = 6
	tlvCapabilities = 7
	tlvManagement   = 8
	tlvOrganization = 127
)

// Subtypes of ids (tables 8-2 and 8-3), and the capability that is ours.
const (
	chassisMAC = 4
	portName   = 5
	capBridge  = 1 << 2
)

// TLVs of auto attachment (draft-unbehagen-lldp-spb): organization, subtypes,
// and the lengths of what is in them.
var organization = [3]byte{0x00, 0x04, 0x0d}

const (
	aaElement     = 11
	aaAssignments = 12

	aaHead       = 4 + 32 // organization, subtype, and a digest over the rest, which nobody fills
	aaElementLen = aaHead + 14
	aaVirtual    = 14 // the element's type: a virtual switch
	aaAssignment = 5  // bytes of one assignment
)

// Errors of parse.
var (
	errShort     = errors.New("frame too short for tlv")
	errMandatory = errors.New("some mandatory tlv are missing")
	errMalformed = errors.New("malformed tlv")
	errUnknown   = errors.New("unknown tlv")
	errNotLLDP   = errors.New("not a frame of LLDP")
)

// An assignment is an I-SID and the VLAN that is to carry it, with its status.
type assignment struct {
	status uint8
	Mapping
}

// A message is what a frame says.
type message struct {
	chassis, port string // with the subtype as the first byte: they identify a neighbour
	ttl           uint16
	descr         string
	element       []byte // the element's 14 bytes, nil where there is none
	assignments   []assignment
	unknown       int // TLVs of organizations that nothing is known of
}

// parse reads a frame. All TLVs but those of organizations must be known ones.
func parse(f []byte) (m message, err error) {
	if len(f) < 14 || be.Uint16(f[12:]) != EtherType {
		return m, errNotLLDP
	}
	b := f[14:]
	for n := 0; ; n++ {
		if len(b) < 2 {
			if n < 3 {
				return m, errShort
			}
			return m, errMandatory
		}
		typ, length := b[0]>>1, int(be.Uint16(b)&0x1ff)
		if b = b[2:]; len(b) < length {
			return m, errShort
		}
		v := b[:length]
		b = b[length:]
		// Clause 8.2: the first three are these, in this order, and no others are.
		if (n < 3) != (typ >= tlvChassis && typ <= tlvTTL) || n < 3 && int(typ) != n+1 {
			return m, errMandatory
		}
		switch typ {
		case tlvEnd:
			return m, nil
		case tlvChassis, tlvPort:
			if length < 2 || length > 256 {
				return m, errMalformed
			}
			if typ == tlvChassis {
				m.chassis = string(v)
			} else {
				m.port = string(v)
			}
		case tlvTTL:
			if length < 2 {
				return m, errMalformed
			}
			m.ttl = be.Uint16(v)
		case tlvSystemDescr:
			m.descr = string(v)
		case tlvPortDescr, tlvSystem, tlvCapabilities, tlvManagement:
		case tlvOrganization:
			if err := m.organization(v); err != nil {
				return m, err
			}
		default:
			m.unknown++
			return m, errUnknown
		}
	}
}

func (m *message) organization(v []byte) error {
	switch {
	case len(v) < 4:
		return errMalformed
	case [3]byte(v) != organization || v[3] != aaElement && v[3] != aaAssignments:
		m.unknown++
	case v[3] == aaElement:
		if len(v) < aaElementLen {
			return errMalformed
		}
		m.element = v[aaHead:aaElementLen]
	default:
		if len(v) < aaHead || (len(v)-aaHead)%aaAssignment != 0 {
			return errMalformed
		}
		for v = v[aaHead:]; len(v) > 0; v = v[aaAssignment:] {
			m.assignments = append(m.assignments, assignment{v[0] >> 4, Mapping{ISID: be.Uint32(v[1:]) & 0xffffff, VLAN: be.Uint16(v) & 0xfff}})
		}
	}
	return nil
}

// system is the element's system id as the C switch shows it: an address, the
// type of the connection (3 bits), and two ids of links, of which the first (10
// bits) has its lower byte in front.
func (m *message) system() string {
	mac, b := m.element[4:10], m.element[10:14]
	return fmt.Sprintf("%s:%02x:00:%02x:%02x:%02x:%02x", net.HardwareAddr(mac), b[0]>>5, b[1], b[0]&3, b[2], b[3])
}

// shown is an id as it is shown.
func shown(id string) string {
	if len(id) == 7 && id[0] == chassisMAC {
		return net.HardwareAddr(id[1:]).String()
	}
	return id[1:]
}

// frame is what the agent sends.
func (a *Agent) frame() []byte {
	f := append(append(Group[:], a.c.MAC[:]...), EtherType>>8, EtherType&0xff)
	add := func(typ uint16, v ...byte) {
		f = be.AppendUint16(f, typ<<9|uint16(len(v)))
		f = append(f, v...)
	}
	add(tlvChassis, append([]byte{chassisMAC}, a.c.MAC[:]...)...)
	add(tlvPort, append([]byte{portName}, a.name...)...)
	add(tlvTTL, be.AppendUint16(nil, uint16(ttl.Seconds()))...)
	add(tlvSystemDescr, []byte(a.c.Description)...)
	add(tlvCapabilities, 0, capBridge, 0, capBridge)
	if len(a.mappings) == 0 {
		add(tlvEnd)
		return f
	}
	e := make([]byte, aaElementLen)
	copy(e, organization[:])
	e[3], e[aaHead] = aaElement, aaVirtual<<2
	copy(e[aaHead+4:], a.c.MAC[:])
	add(tlvOrganization, e...)
	// As many as the TLV's length allows.
	const most = (511 - aaHead) / aaAssignment
	list := make([]byte, aaHead, aaHead+most*aaAssignment)
	copy(list, organization[:])
	list[3] = aaAssignments
	for _, m := range a.mappings[:min(len(a.mappings), most)] {
		list = be.AppendUint16(list, m.VLAN&0xfff)
		list = append(list, byte(m.ISID>>16), byte(m.ISID>>8), byte(m.ISID))
	}
	add(tlvOrganization, list...)
	add(tlvEnd)
	return f
}
