package bfd

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"govs/datapath/header"
)

// What frames with control packets have (RFC 5881, sections 4 and 5).
const (
	Port = 3784 // of UDP, that they go to
	TTL  = 255  // with which they must arrive

	firstSource = 49152
	packetLen   = 24
	version     = 1
)

// A State is bfd.SessionState (RFC 5880, section 6.2).
type State uint8

// The states.
const (
	AdminDown State = iota
	Down
	Init
	Up
)

func (s State) String() string { return [...]string{"admin_down", "down", "init", "up"}[s&3] }

// A Diag says why a session's state is what it is (RFC 5880, section 4.1).
type Diag uint8

// Those that matter here.
const (
	diagNone         Diag = 0
	diagExpired      Diag = 1
	diagNeighbor     Diag = 3
	diagConcatenated Diag = 6 // the path behind a system is down
	diagReverse      Diag = 8
)

func (d Diag) String() string {
	names := [...]string{"No Diagnostic", "Control Detection Time Expired", "Echo Function Failed", "Neighbor Signaled Session Down",
		"Forwarding Plane Reset", "Path Down", "Concatenated Path Down", "Administratively Down", "Reverse Concatenated Path Down"}
	if int(d) < len(names) {
		return names[d]
	}
	return "Reserved"
}

// Bits of a control packet's second byte.
const (
	flagPoll       = 0x20
	flagFinal      = 0x10
	flagControl    = 0x08
	flagAuth       = 0x04
	flagDemand     = 0x02
	flagMultipoint = 0x01
)

// A control is a control packet (RFC 5880, section 4.1).
type control struct {
	diag         Diag
	state        State
	flags        uint8
	mult         uint8
	mine, yours  uint32 // discriminators
	minTx, minRx time.Duration
}

var (
	errShort   = errors.New("packet is too short")
	errVersion = errors.New("incorrect version")
	errLength  = errors.New("length field is wrong")
	errMult    = errors.New("detect multiplier is zero")
	errMulti   = errors.New("multipoint bit is set")
	errMine    = errors.New("my discriminator is zero")
	errAuth    = errors.New("authentication bit is set")
	errYours   = errors.New("your discriminator is wrong")
)

// parse reads a control packet, and checks what does not depend on the session
// (RFC 5880, section 6.8.6).
func parse(b []byte) (c control, err error) {
	if len(b) < packetLen {
		return c, errShort
	}
	c = control{
		diag: Diag(b[0] & 0x1f), state: State(b[1] >> 6), flags: b[1] & 0x3f, mult: b[2],
		mine: binary.BigEndian.Uint32(b[4:]), yours: binary.BigEndian.Uint32(b[8:]),
		minTx: time.Duration(binary.BigEndian.Uint32(b[12:])) * time.Microsecond,
		minRx: time.Duration(binary.BigEndian.Uint32(b[16:])) * time.Microsecond,
	}
	switch {
	case b[0]>>5 != version:
		return c, errVersion
	case int(b[3]) < packetLen || int(b[3]) > len(b):
		return c, errLength
	case c.mult == 0:
		return c, errMult
	case c.flags&flagMultipoint != 0:
		return c, errMulti
	case c.mine == 0:
		return c, errMine
	case c.flags&flagAuth != 0:
		return c, errAuth
	case c.yours == 0 && c.state >= Init:
		return c, errYours
	}
	return c, nil
}

func (c *control) bytes() []byte {
	micros := func(d time.Duration) uint32 { return uint32(d / time.Microsecond) }
	b := []byte{version<<5 | byte(c.diag), byte(c.state)<<6 | c.flags, c.mult, packetLen}
	for _, v := range []uint32{c.mine, c.yours, micros(c.minTx), micros(c.minRx), 0} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

// payload finds the control packet in a frame without VLAN tags, and the TTL
// with which it came; nil where there is none.
func payload(f []byte) (b []byte, ttl uint8) {
	const l3 = header.EthernetLen
	if len(f) < l3+header.IPv4Len || binary.BigEndian.Uint16(f[12:]) != header.TypeIPv4 {
		return nil, 0
	}
	ip := header.IPv4(f[l3:])
	at, end := l3+ip.HeaderLen(), l3+ip.TotalLen()
	if ip.Version() != 4 || ip.Proto() != header.ProtoUDP || ip.HeaderLen() < header.IPv4Len || end > len(f) || at+header.UDPLen > end {
		return nil, 0
	}
	udp := header.UDP(f[at:end])
	if udp.Dst() != Port || udp.Len() < header.UDPLen || at+udp.Len() > end {
		return nil, 0
	}
	return f[at+header.UDPLen : at+udp.Len()], ip.TTL()
}

// frame puts a control packet into a frame.
func (s *Session) frame(c *control) []byte {
	l4 := header.EthernetLen + header.IPv4Len
	f := make([]byte, l4+header.UDPLen)
	copy(f, s.c.Dst[:])
	copy(f[6:], s.c.Src[:])
	binary.BigEndian.PutUint16(f[12:], header.TypeIPv4)
	ip := header.IPv4(f[header.EthernetLen:])
	ip.SetVersion(header.IPv4Len)
	ip.SetTOS(0xc0) // internetwork control
	ip.SetTotalLen(header.IPv4Len + header.UDPLen + packetLen)
	ip.SetTTL(TTL)
	ip.SetProto(header.ProtoUDP)
	copy(ip.Src(), s.c.SrcIP[:])
	copy(ip.Dst(), s.c.DstIP[:])
	ip.UpdateChecksum()
	udp := header.UDP(f[l4:])
	udp.SetSrc(s.source)
	udp.SetDst(Port)
	udp.SetLen(header.UDPLen + packetLen)
	return slices.Concat(f, c.bytes())
}
