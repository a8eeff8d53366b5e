// Package bpdu holds the messages of the spanning tree protocols (IEEE
// 802.1D-2004, clause 9), which that of 802.1D-1998 shares.
package bpdu

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Group is the address that BPDUs are sent to (IEEE 802.1D-2004, table 7-10).
var Group = [6]byte{0x01, 0x80, 0xc2, 0x00, 0x00, 0x00}

// LLC is the header in front of a BPDU, behind the Ethernet length.
var LLC = [3]byte{0x42, 0x42, 0x03}

// A Kind is the kind of a BPDU.
type Kind uint8

// The kinds.
const (
	Config Kind = iota
	TCN
	RST
)

// The flags of a BPDU (9.3.3).
const (
	FlagTC         = 0x01
	FlagProposal   = 0x02
	FlagLearning   = 0x10
	FlagForwarding = 0x20
	FlagAgreement  = 0x40
	FlagTCAck      = 0x80

	roleShift = 2
)

// A Role is that of the port which sent a RST.
type Role uint8

// The roles.
const (
	NoRole     Role = iota
	Alternate       // or backup
	Root            //
	Designated      // also that of who sends a Config
)

// Flag is the role's place in the flags.
func (r Role) Flag() uint8 { return uint8(r) << roleShift }

// Role is that of the sender's port.
func (p *Message) Role() Role {
	if p.Kind == Config {
		return Designated
	}
	return Role(p.Flags >> roleShift & 3)
}

// Has says whether any of the flags is set.
func (p *Message) Has(flags uint8) bool { return p.Flags&flags != 0 }

// An ID is a bridge's identifier: priority, system id extension and address.
type ID uint64

// MakeID puts an identifier together.
func MakeID(priority uint16, addr [6]byte) ID {
	id := uint64(priority)
	for _, b := range addr {
		id = id<<8 | uint64(b)
	}
	return ID(id)
}

// Address is the identifier's address.
func (id ID) Address() (a [6]byte) {
	for i := range a {
		a[i] = byte(id >> (40 - 8*i))
	}
	return a
}

// Priority is the upper 16 bits.
func (id ID) Priority() uint16 { return uint16(id >> 48) }

// String is the form of the column rstp_status, "8.000.020000000001".
func (id ID) String() string {
	return fmt.Sprintf("%x.%03x.%012x", id.Priority()>>12, id.Priority()&0xfff, uint64(id)&(1<<48-1))
}

// Old is the form of the column status, "8000.020000000001", without a system
// id extension.
func (id ID) Old() string { return fmt.Sprintf("%04x.%012x", id.Priority(), uint64(id)&(1<<48-1)) }

// Times are the timers that travel in BPDUs, in 1/256 seconds.
type Times struct{ MessageAge, MaxAge, Hello, ForwardDelay uint16 }

// Second is the unit of Times that is one.
const Second = 256

// A Vector is a priority vector (17.5), without the port that received it.
type Vector struct {
	Root   ID
	Cost   uint32
	Bridge ID
	Port   uint16
}

// A Message is a BPDU.
type Message struct {
	Kind    Kind
	Version uint8
	Flags   uint8
	Vector
	Times
}

const (
	configLen = 35
	rstLen    = 36
	tcnLen    = 4
)

// Parse reads a BPDU behind its LLC header (9.3).
func Parse(b []byte) (p Message, err error) {
	be := binary.BigEndian
	if len(b) < tcnLen {
		return p, errors.New("too short")
	}
	if be.Uint16(b) != 0 {
		return p, fmt.Errorf("protocol %#04x is no spanning tree", be.Uint16(b))
	}
	p.Version = b[2]
	switch kind := b[3]; {
	case kind == 0x80:
		p.Kind = TCN
		return p, nil
	case kind == 0:
		p.Kind = Config
	case kind == 2 && p.Version >= 2:
		p.Kind = RST
	default:
		return p, fmt.Errorf("unknown type %#02x of BPDU", kind)
	}
	if len(b) < configLen || p.Kind == RST && len(b) < rstLen {
		return p, errors.New("too short")
	}
	p.Flags = b[4]
	p.Root, p.Cost, p.Bridge, p.Port = ID(be.Uint64(b[5:])), be.Uint32(b[13:]), ID(be.Uint64(b[17:])), be.Uint16(b[25:])
	p.Times = Times{be.Uint16(b[27:]), be.Uint16(b[29:]), be.Uint16(b[31:]), be.Uint16(b[33:])}
	if p.MessageAge >= p.MaxAge {
		return p, errors.New("message age is not below max age")
	}
	return p, nil
}

// Seconds is a time of Times in whole seconds.
func Seconds(t uint16) int { return (int(t) + Second/2) / Second }

// Append appends the BPDU's bytes to b.
func (p *Message) Append(b []byte) []byte {
	be := binary.BigEndian
	b = append(b, 0, 0)
	switch p.Kind {
	case TCN:
		return append(b, 0, 0x80)
	case Config:
		b = append(b, 0, 0)
	case RST:
		b = append(b, 2, 2)
	}
	b = append(b, p.Flags)
	b = be.AppendUint64(b, uint64(p.Root))
	b = be.AppendUint32(b, p.Cost)
	b = be.AppendUint64(b, uint64(p.Bridge))
	b = be.AppendUint16(b, p.Port)
	for _, t := range []uint16{p.MessageAge, p.MaxAge, p.Hello, p.ForwardDelay} {
		b = be.AppendUint16(b, t)
	}
	if p.Kind == RST {
		b = append(b, 0) // version 1 length
	}
	return b
}
