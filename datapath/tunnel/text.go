package tunnel

import (
	"strconv"
	"strings"
)

// splitter makes the text's punctuation spaces.
func splitter(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(c rune) bool { return c == '(' || c == ')' || c == ',' || c == ' ' }), " ")
}

// last is the value of the last word name=value.
func last(words, name string) (uint32, bool) {
	at := strings.LastIndex(words, " "+name+"=")
	if at < 0 {
		return 0, false
	}
	text, _, _ := strings.Cut(words[at+len(name)+2:], " ")
	n, err := strconv.ParseUint(text, 0, 32)
	return uint32(n), err == nil
}

func (h *Header) fieldsGRE(words string) {
	flags, _ := last(words, "flags")
	h.Csum, h.HasKey, h.Seq = flags&greCsum != 0, flags&greKey != 0, flags&greSeq != 0
	h.Key, _ = last(words, "key")
	if proto, _ := last(words, "proto"); proto != typeTEB {
		h.Carries = uint16(proto)
	}
}

func (h *Header) fieldsUDP(words string) bool {
	_, rest, _ := strings.Cut(words, " udp ")
	rest = " " + rest
	port, ok := last(rest, "dst")
	csum, _ := last(rest, "csum")
	vni, there := last(rest, "vni")
	flags, _ := last(rest, "flags")
	h.Port, h.Csum = uint16(port), csum != 0 && !h.v6()
	if h.Kind == GTPU {
		h.Key, there = last(rest, "teid")
		return ok && there
	}
	h.Key, h.OAM = vni, strings.Contains(rest, " oam ")
	if flags&(gbpPolicy<<24) != 0 {
		h.Policy = Policy{uint16(flags), uint8(flags >> 16)}
	} else if h.GPE = flags&(gpeNext<<24) != 0; h.GPE {
		if next := flags & 0xff; int(next) < len(gpeCarries) {
			h.Carries = gpeCarries[next]
		}
	}
	return ok && there && vni <= 0xffffff
}
