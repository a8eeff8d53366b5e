package lacp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// EtherType is that of the slow protocols (IEEE 802.3, annex 57A), of which
// LACP and the marker protocol are two.
const EtherType = 0x8809

// Group is the address that LACPDUs are sent to.
var Group = [6]byte{0x01, 0x80, 0xc2, 0x00, 0x00, 0x02}

// The subtypes that this package knows, and the parts of their messages.
const (
	subtypeLACP   = 1
	subtypeMarker = 2
	version       = 1

	pduLen = 110 // of both, without the Ethernet header

	actorAt     = 2
	partnerAt   = 22
	collectorAt = 42
	infoLen     = 20
	markerAt    = 2
	markerInfo  = 1
	markerReply = 2
	markerLen   = 16
)

// State are the bits of an Info's state (IEEE 802.1AX-2014, 6.4.2.3).
type State uint8

// The bits.
const (
	Activity State = 1 << iota
	Timeout
	Aggregation
	Synchronized
	Collecting
	Distributing
	Defaulted
	Expired
)

var stateNames = [...]string{"activity", "timeout", "aggregation", "synchronized", "collecting", "distributing", "defaulted", "expired"}

// String names the bits, each with a blank in front of it.
func (s State) String() string {
	var b strings.Builder
	for i, name := range stateNames {
		if s&(1<<i) != 0 {
			b.WriteString(" " + name)
		}
	}
	return b.String()
}

// An Info is what one end of a link says of an end, its own or the other.
type Info struct {
	SystemPriority uint16
	SystemID       [6]byte
	Key            uint16
	PortPriority   uint16
	PortID         uint16
	State          State
}

// A PDU is a LACPDU.
type PDU struct{ Actor, Partner Info }

var (
	errShort  = errors.New("too short")
	errMarker = errors.New("a marker") // and no LACPDU
)

// Parse reads a LACPDU behind its Ethernet header.
func Parse(b []byte) (PDU, error) {
	switch {
	case len(b) < pduLen:
		return PDU{}, errShort
	case b[0] == subtypeMarker:
		return PDU{}, errMarker
	case b[0] != subtypeLACP:
		return PDU{}, fmt.Errorf("slow protocol %d is not LACP", b[0])
	case b[1] != version:
		// A later version begins with the same TLVs.
		if b[1] == 0 {
			return PDU{}, errors.New("bad version 0")
		}
	}
	if b[actorAt] != 1 || b[actorAt+1] != infoLen || b[partnerAt] != 2 || b[partnerAt+1] != infoLen ||
		b[collectorAt] != 3 || b[collectorAt+1] != 16 {
		return PDU{}, errors.New("bad TLVs")
	}
	return PDU{parseInfo(b[actorAt+2:]), parseInfo(b[partnerAt+2:])}, nil
}

func parseInfo(b []byte) (i Info) {
	be := binary.BigEndian
	i.SystemPriority = be.Uint16(b)
	copy(i.SystemID[:], b[2:])
	i.Key, i.PortPriority, i.PortID = be.Uint16(b[8:]), be.Uint16(b[10:]), be.Uint16(b[12:])
	i.State = State(b[14])
	return i
}

// Append appends the PDU's bytes to b.
func (p *PDU) Append(b []byte) []byte {
	start := len(b)
	b = append(b, subtypeLACP, version, 1, infoLen)
	b = p.Actor.append(b)
	b = append(b, 2, infoLen)
	b = p.Partner.append(b)
	b = append(b, 3, 16)
	return append(b, make([]byte, pduLen-(len(b)-start))...)
}

func (i *Info) append(b []byte) []byte {
	be := binary.BigEndian
	b = be.AppendUint16(b, i.SystemPriority)
	b = append(b, i.SystemID[:]...)
	b = be.AppendUint16(b, i.Key)
	b = be.AppendUint16(b, i.PortPriority)
	b = be.AppendUint16(b, i.PortID)
	return append(b, byte(i.State), 0, 0, 0)
}

// replyMarker makes the answer to a marker, nil where it is not one that is
// to be answered (IEEE 802.1AX-2014, 6.5).
func replyMarker(b []byte) []byte {
	if len(b) < pduLen || b[1] != version || b[markerAt] != markerInfo || b[markerAt+1] != markerLen {
		return nil
	}
	out := append([]byte(nil), b[:pduLen]...)
	out[markerAt] = markerReply
	return out
}
