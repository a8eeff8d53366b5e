package tunnel

import "fmt"

// MaxSession is the highest session of ERSPAN.
const MaxSession = 0x3ff

// putERSPAN writes GRE with a number, and the header of ERSPAN behind it
// (draft-foschiano-erspan, sections 4.2 and 4.3).
func (h *Header) putERSPAN(b []byte, seq, stamp uint32) {
	be.PutUint16(b, greSeq)
	be.PutUint32(b[4:], seq)
	e := b[2*greLen:]
	be.PutUint16(e, uint16(h.Version)<<12)
	be.PutUint16(e[2:], uint16(h.Key&MaxSession))
	if h.Version != 2 {
		be.PutUint16(b[2:], typeII)
		be.PutUint32(e[4:], h.Index)
		return
	}
	be.PutUint16(b[2:], typeIII)
	be.PutUint32(e[4:], stamp)
	last := uint32(h.Hardware) << 4
	if h.Egress {
		last |= 1 << 3
	}
	be.PutUint32(e[8:], last)
}

// erspan reads what putERSPAN writes, with a platform specific header too.
func (m *Meta) erspan(b []byte) (n int, err error) {
	if len(b) < 2*greLen+typeIILen || be.Uint16(b) != greSeq {
		return 0, ErrHeader
	}
	e := b[2*greLen:]
	version := e[0] >> 4
	n = 2 * greLen
	switch proto := be.Uint16(b[2:]); {
	case proto == typeII && version == 1:
		n += typeIILen
	case proto == typeIII && version == 2:
		if n += typeIIILen; len(b) >= n && e[11]&1 != 0 {
			n += 8
		}
	default:
		return 0, ErrHeader
	}
	if len(b) < n {
		return 0, ErrHeader
	}
	m.HasKey, m.Key = true, uint32(be.Uint16(e[2:])&MaxSession)
	return n, nil
}

// IsERSPAN says whether an IPv4 packet of GRE, behind its IP header, carries
// ERSPAN.
func IsERSPAN(gre []byte) bool {
	if len(gre) < greLen {
		return false
	}
	proto := be.Uint16(gre[2:])
	return proto == typeII || proto == typeIII
}

func (h *Header) textERSPAN() string {
	if h.Version != 2 {
		return fmt.Sprintf("erspan(ver=1,sid=%#x,idx=%#x)", h.Key, h.Index)
	}
	dir := 0
	if h.Egress {
		dir = 1
	}
	return fmt.Sprintf("erspan(ver=2,sid=%#x,dir=%d,hwid=%#x)", h.Key, dir, h.Hardware)
}

func (h *Header) fieldsERSPAN(words string) {
	version, _ := last(words, "ver")
	h.Version = uint8(version)
	h.Key, _ = last(words, "sid")
	h.Index, _ = last(words, "idx")
	dir, _ := last(words, "dir")
	hwid, _ := last(words, "hwid")
	h.Egress, h.Hardware = dir == 1, uint8(hwid)
}
