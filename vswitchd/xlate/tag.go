package xlate

import (
	"govs/datapath/action"
	"govs/datapath/flow"
)

// A tag is a VLAN tag that a packet has or is to have. own says which of the
// packet's own tags a part comes from, counted from 1: such a part is only
// known to the megaflow when the mask holds it. 0 is none. TPIDs are in every
// mask.
type tag struct {
	vid    uint16
	pcp    uint16 // in the bits of VLANPCPMask
	tpid   uint16
	ownVID int
	ownPCP int
}

// maxTags is how many tags a packet may have inside of the switch: those that
// are looked at, and those that dot1q-tunnel ports one behind the other put in
// front of them.
const maxTags = 6

// A stack is a packet's tags, outermost first.
type stack struct {
	n    int
	tags [maxTags]tag
}

// arrived is the tags of a packet that came in.
func arrived(k *flow.Key) (s stack) {
	for i, v := range k.VLAN {
		if !v.Present() {
			break
		}
		s.tags[i] = tag{vid: v.VID(), pcp: v.TCI & flow.VLANPCPMask, tpid: v.TPID, ownVID: i + 1, ownPCP: i + 1}
		s.n++
	}
	return s
}

// outer is the outermost tag; one of zeros where there is none.
func (s *stack) outer() tag { return s.tags[0] }

// pop is the stack without its outermost tag, if it has one.
func (s stack) pop() stack {
	if s.n == 0 {
		return s
	}
	copy(s.tags[:], s.tags[1:])
	s.tags[maxTags-1] = tag{}
	s.n--
	return s
}

// push is the stack with one more tag; it must have room.
func (s stack) push(t tag) stack {
	copy(s.tags[1:], s.tags[:])
	s.tags[0] = t
	s.n++
	return s
}

// seeVID makes the VLAN count, where it is the packet's own, and returns it.
func (w *walk) seeVID(t tag) uint16 {
	if t.ownVID > 0 {
		w.mask.VLAN[t.ownVID-1].TCI |= flow.VLANVIDMask
	}
	return t.vid
}

// seePCP makes the priority count, where it is the packet's own, and returns it.
func (w *walk) seePCP(t tag) uint16 {
	if t.ownPCP > 0 {
		w.mask.VLAN[t.ownPCP-1].TCI |= flow.VLANPCPMask
	}
	return t.pcp
}

// same says whether the packet already has the tag that is wanted.
func (w *walk) same(have, want tag) bool {
	if have.tpid != want.tpid {
		return false
	}
	if have.ownVID == 0 || have.ownVID != want.ownVID {
		if w.seeVID(have) != w.seeVID(want) {
			return false
		}
	}
	if have.ownPCP == 0 || have.ownPCP != want.ownPCP {
		return w.seePCP(have) == w.seePCP(want)
	}
	return true
}

// commit does what makes the packet's tags the wanted ones: the innermost ones
// that it has already stay.
func (w *walk) commit(want stack) {
	have := &w.have
	common := 0
	for common < have.n && common < want.n && w.same(have.tags[have.n-1-common], want.tags[want.n-1-common]) {
		common++
	}
	for range have.n - common {
		w.res.Actions = append(w.res.Actions, action.PopVLAN{})
	}
	for i := want.n - common - 1; i >= 0; i-- {
		t := want.tags[i]
		w.res.Actions = append(w.res.Actions, action.PushVLAN{Tag: flow.VLAN{
			TPID: t.tpid, TCI: w.seeVID(t) | w.seePCP(t) | flow.VLANPresent,
		}})
	}
	*have = want
}

// partial says whether what stands where a tag is missing looks like one all
// the same: half a tag, or one that does not count and from which those before
// it were taken off.
func (w *walk) partial(s *stack) bool {
	return s.n == 0 && (w.key.EthType == flow.TPID8021Q || w.key.EthType == flow.TPID8021AD)
}

// classify finds the tags that a packet with the tags s has inside the bridge
// when it enters by p: the outermost says which VLAN it is in. It returns
// false where the port does not take the packet.
func (w *walk) classify(p *port, s stack) (inside stack, ok bool) {
	vid := w.seeVID(s.outer())
	switch {
	case p.Mode == Tunnel:
		if !p.admits(vid) || s.n == maxTags {
			return s, false
		}
		return s.push(tag{vid: p.tag, tpid: p.TunnelTPID}), true
	case p.Mode == Access && vid != 0:
		return s, false
	case p.Mode == Trunk, vid != 0:
		return s, w.carries(p, &s)
	}
	if s.n == 0 {
		s = s.push(tag{tpid: flow.TPID8021Q})
	}
	// As in C, a frame of VLAN 0 counts as tagged from here on.
	if vid != p.tag {
		s.tags[0].vid, s.tags[0].ownVID = p.tag, 0
	}
	return s, true
}

// carries says whether packets with these tags belong on the port.
func (w *walk) carries(p *port, inside *stack) bool {
	if !p.carries(inside.outer().vid) {
		return false
	}
	switch p.Mode {
	case Access:
		return w.seeVID(inside.tags[1]) == 0
	case Tunnel:
		return p.customers == nil || p.admits(w.seeVID(inside.tags[1]))
	}
	return true
}

// emit is the tags that a packet leaves by p with. inside is what it has in
// the bridge, and entered what it came into the bridge with: a port with
// priority tags tells of the priority that it came with.
func (w *walk) emit(p *port, inside, entered stack) stack {
	untags := true
	switch {
	case p.Mode == Access:
		inside = stack{}
	case p.Mode == Tunnel, p.Mode == NativeUntagged && inside.outer().vid == p.tag:
		inside = inside.pop()
	default:
		untags = false
	}
	if untags && inside.n == 0 {
		return w.prioritize(p, inside, entered)
	}
	return w.plain(p, w.priority(p, inside, entered))
}

// priority gives the outermost tag the priority that the packet came with,
// where the port tells of it.
func (w *walk) priority(p *port, s, entered stack) stack {
	if p.PriorityTags != NeverTag && s.n > 0 {
		t := entered.outer()
		s.tags[0].pcp, s.tags[0].ownPCP = t.pcp, t.ownPCP
	}
	return s
}

// plain takes a tag of VLAN 0 off that has no priority, unless the port wants
// it all the same. As in C, this concerns the tag that the packet came with
// also where another one stands in front of it.
func (w *walk) plain(p *port, s stack) stack {
	if p.PriorityTags == AlwaysTag {
		return s
	}
	for i := 0; i < s.n; i++ {
		if t := s.tags[i]; (i == 0 || t.ownVID == 1) && w.seeVID(t) == 0 && w.seePCP(t) == 0 {
			copy(s.tags[i:], s.tags[i+1:])
			s.tags[maxTags-1] = tag{}
			s.n--
			i--
		}
	}
	return s
}

// prioritize puts a tag of VLAN 0 on, where the packet has a priority and the
// port tells of it.
func (w *walk) prioritize(p *port, s, entered stack) stack {
	if p.PriorityTags == NeverTag || entered.n == 0 {
		return s
	}
	if t := entered.outer(); w.seePCP(t) != 0 {
		return s.push(tag{pcp: t.pcp, ownPCP: t.ownPCP, tpid: flow.TPID8021Q})
	}
	return s
}
