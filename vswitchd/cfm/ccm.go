package cfm

import (
	"encoding/binary"
	"errors"
	"time"
)

// EtherType is that of connectivity fault management (IEEE 802.1ag-2007, table
// 21-1).
const EtherType = 0x8902

// Group is where continuity check messages go: to all maintenance points of
// maintenance domain level 0 (table 8-9).
var Group = [6]byte{0x01, 0x80, 0xc2, 0x00, 0x00, 0x30}

// Extended is where those of extended mode go.
var Extended = [6]byte{0x01, 0x23, 0x20, 0x00, 0x00, 0x30}

// Offsets in a continuity check message (section 21.6). The last ones are in the
// 16 octets that the standard keeps for ITU-T Y.1731; extended mode has its own
// use for them.
const (
	atOpcode   = 1
	atFlags    = 2
	atFirstTLV = 3 // where the TLVs begin, from the next octet on
	atSequence = 4
	atMPID     = 8
	atMAID     = 10
	atInterval = 58 // extended mode: in milliseconds, 2 octets
	atMPID64   = 60 // extended mode
	atDown     = 68 // extended mode: whether the sender is not operational
	atTLVs     = 74
	ccmLen     = 75 // with the end TLV, which is a 0

	opcodeCCM = 1
	flagRDI   = 0x80
	intervals = 0x07 // bits of the interval's code
	maidLen   = 48
)

// maid is the maintenance association of all Open vSwitches: two character
// strings, "ovs" and "ovs" (section 21.6.5).
var maid = [maidLen]byte{4, 3, 'o', 'v', 's', 2, 3, 'o', 'v', 's'}

// The intervals that have a code (table 21-16), from code 1 on. The first is
// really 3⅓ ms.
var coded = [...]time.Duration{
	3 * time.Millisecond, 10 * time.Millisecond, 100 * time.Millisecond, time.Second, 10 * time.Second, time.Minute, 10 * time.Minute,
}

// code is the code of an interval, 0 where it has none.
func code(d time.Duration) uint8 {
	for n, c := range coded {
		if c == d {
			return uint8(n + 1)
		}
	}
	return 0
}

// A ccm is a continuity check message.
type ccm struct {
	code     uint8 // of the interval
	rdi      bool  // remote defect indication: the sender hears nobody
	sequence uint32
	mpid     uint64
	maid     [maidLen]byte
	interval uint16 // in extended mode, in milliseconds
	down     bool   // in extended mode
}

var (
	errShort  = errors.New("message is too short")
	errType   = errors.New("not a frame of CFM")
	errOpcode = errors.New("not a continuity check message")
)

// parse reads a message.
func parse(b []byte, extended bool) (m ccm, err error) {
	if len(b) < atTLVs {
		return m, errShort
	}
	if b[atOpcode] != opcodeCCM {
		return m, errOpcode
	}
	m = ccm{
		code: b[atFlags] & intervals, rdi: b[atFlags]&flagRDI != 0, sequence: binary.BigEndian.Uint32(b[atSequence:]),
		mpid: uint64(binary.BigEndian.Uint16(b[atMPID:])), maid: [maidLen]byte(b[atMAID:]),
	}
	if extended {
		m.mpid = binary.BigEndian.Uint64(b[atMPID64:])
		m.interval = binary.BigEndian.Uint16(b[atInterval:])
		m.down = b[atDown] != 0
	}
	return m, nil
}

// bytes are the message's.
func (m *ccm) bytes(extended bool) []byte {
	b := make([]byte, ccmLen)
	b[atOpcode], b[atFlags], b[atFirstTLV] = opcodeCCM, m.code, atTLVs-atFirstTLV-1
	if m.rdi {
		b[atFlags] |= flagRDI
	}
	binary.BigEndian.PutUint32(b[atSequence:], m.sequence)
	copy(b[atMAID:], m.maid[:])
	if !extended {
		binary.BigEndian.PutUint16(b[atMPID:], uint16(m.mpid))
		return b
	}
	// Who does not know extended mode sees ids that are mostly different.
	short := uint16(m.mpid ^ m.mpid>>16 ^ m.mpid>>32 ^ m.mpid>>48)
	binary.BigEndian.PutUint16(b[atMPID:], short)
	binary.BigEndian.PutUint16(b[atInterval:], m.interval)
	binary.BigEndian.PutUint64(b[atMPID64:], m.mpid)
	if m.down {
		b[atDown] = 1
	}
	return b
}

const (
	ethernetLen = 14
	tagLen      = 4
	tpidC       = 0x8100
	tpidS       = 0x88a8
)

// payload is what a frame carries behind its VLAN tags, which mean nothing to
// CFM; nil where it is not a frame of CFM.
func payload(f []byte) []byte {
	for at := ethernetLen; at <= len(f); at += tagLen {
		switch binary.BigEndian.Uint16(f[at-2:]) {
		case EtherType:
			return f[at:]
		case tpidC, tpidS:
		default:
			return nil
		}
	}
	return nil
}

// Ours says whether a frame is of CFM.
func Ours(f []byte) bool { return payload(f) != nil }

// frame puts a message into a frame.
func frame(dst, src [6]byte, tag uint16, tagged bool, payload []byte) []byte {
	f := append(dst[:], src[:]...)
	if tagged {
		f = binary.BigEndian.AppendUint16(f, tpidC)
		f = binary.BigEndian.AppendUint16(f, tag)
	}
	f = binary.BigEndian.AppendUint16(f, EtherType)
	return append(f, payload...)
}
