package tunnel

// The two bits of explicit congestion notification (RFC 3168, section 5).
const (
	notECT = 0
	ect1   = 1
	ect0   = 2
	ce     = 3
)

// Decapsulate is the field that a frame leaves the tunnel with, of the two bits
// that the headers had (RFC 6040, section 4.2). It says false where the packet
// is to be dropped: congestion that the sender would not hear of.
func Decapsulate(outer, inner uint8) (uint8, bool) {
	outer, inner = outer&3, inner&3
	switch {
	case inner == notECT:
		return inner, outer != ce
	case outer == ce:
		return ce, true
	case outer == ect1 && inner == ect0:
		return ect1, true
	}
	return inner, true
}

// Encapsulate is the outer header's field for a frame of which the inner one
// is given (RFC 6040, section 4.1, normal mode).
func Encapsulate(inner uint8) uint8 { return inner & 3 }
