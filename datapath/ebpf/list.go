package ebpf

import (
	"encoding/binary"
	"math"

	"govs/datapath/action"
	"govs/datapath/flow"
)

// An op is one step of a list of actions, as the programs read it.
type op [opLen]byte

// A list is what is done with a packet. It is comparable: flows that do the
// same share one.
type list struct {
	n    int
	tags int // VLAN tags of the packets that it is for
	ops  [maxOps]op
}

func (l *list) add(code, arg byte, half uint16, word, value, mask uint32) bool {
	if l.n == maxOps {
		return false
	}
	ne := binary.NativeEndian
	o := &l.ops[l.n]
	o[0], o[1] = code, arg
	ne.PutUint16(o[2:], half)
	ne.PutUint32(o[4:], word)
	ne.PutUint32(o[8:], value)
	ne.PutUint32(o[12:], mask)
	l.n++
	return true
}

// A listUse is a list in the map.
type listUse struct {
	list    list
	at      uint32
	refs    int
	outputs []listOutput
}

type listOutput struct {
	to   *member
	grow int // bytes by which a packet is longer there than at its entry
}

// compile puts actions into the programs' words, for packets that agree with
// key in what the mask has; false where those have none.
func (c *Cache) compile(key *flow.Key, mask *flow.Mask, actions []action.Action) (l list, ok bool) {
	for _, v := range key.VLAN {
		if v.Present() {
			l.tags++
		}
	}
	if key.EthType == flow.TPID8021Q || key.EthType == flow.TPID8021AD {
		l.tags++
	}
	last, shows, tags := -1, -1, l.tags
	for _, a := range actions {
		switch a := a.(type) {
		case action.Output:
			m := c.members[a.Port]
			if m == nil || !m.out {
				return l, false
			}
			last = l.n
			ok = l.add(opOutput, 0, 0, m.at, 0, 0)
		case action.PushVLAN:
			tags++
			tpid := a.Tag.TPID
			if tpid == 0 {
				tpid = flow.TPID8021Q
			}
			ok = l.add(opPush, 0, uint16(htons(tpid)), uint32(a.Tag.TCI&^flow.VLANPresent), 0, 0)
		case action.PopVLAN:
			tags = max(tags-1, 0)
			ok = l.add(opPop, 0, 0, 0, 0, 0)
		case action.Set:
			// Behind more tags than a key has the engine finds no other header.
			ok = (tags <= flow.MaxTags || a.Group == "eth") && l.set(key, mask, &a)
		case action.Show:
			if a.To == nil {
				continue
			}
			var id uint32
			if id, ok = c.showID(a, key.InPort); !ok {
				return l, false
			}
			shows = l.n
			ok = l.add(opShow, 0, 0, a.Probability, id, 0)
		case action.Drop:
			if shows >= 0 {
				return l, false
			}
			return list{}, len(actions) == 1
		default:
			return l, false
		}
		if !ok {
			return l, false
		}
	}
	if shows > last {
		return l, false // the last output ends the program
	}
	if last < 0 {
		return list{}, true // what is done to a packet that goes nowhere does not matter
	}
	for i := last + 1; i < l.n; i++ {
		l.ops[i] = op{}
	}
	l.n = last + 1
	l.ops[last][1] = 1
	return l, true
}

// use finds a list among those in the map, or puts it there; nil where there
// is no room.
func (c *Cache) use(l list) *listUse {
	u := c.lists[l]
	if u == nil {
		at, ok := c.listAt.take()
		if !ok {
			return nil
		}
		u = &listUse{list: l, at: at}
		tags := l.tags
		for i := range l.n {
			switch l.ops[i][0] {
			case opPush:
				tags++
			case opPop:
				tags = max(tags-1, 0)
			case opShow:
				c.useShow(binary.NativeEndian.Uint32(l.ops[i][8:]), 1)
			case opOutput:
				m := c.byPlace(binary.NativeEndian.Uint32(l.ops[i][4:]))
				m.lists[u] = true
				u.outputs = append(u.outputs, listOutput{m, 4 * (tags - l.tags)})
			}
		}
		if err := c.write(u); err != nil {
			c.listAt.give(at)
			c.giveUp(u)
			return nil
		}
		c.lists[l] = u
	}
	u.refs++
	return u
}

func (c *Cache) unuse(u *listUse) {
	if u.refs--; u.refs > 0 {
		return
	}
	delete(c.lists, u.list)
	c.listAt.give(u.at)
	c.giveUp(u)
	for _, out := range u.outputs {
		c.retire(out.to)
	}
}

// giveUp ends what ports and samples know of a list.
func (c *Cache) giveUp(u *listUse) {
	for _, out := range u.outputs {
		delete(out.to.lists, u)
	}
	for i := range u.list.n {
		if u.list.ops[i][0] == opShow {
			c.useShow(binary.NativeEndian.Uint32(u.list.ops[i][8:]), -1)
		}
	}
}

// write puts a list into the map. What changes while packets are under way is
// its first word alone: whether it holds, and for what lengths.
func (c *Cache) write(u *listUse) error {
	var v [listLen]byte
	flags, longest := uint16(0), uint32(math.MaxInt32)
	for i := range u.list.n {
		if u.list.ops[i][0] == opShow {
			longest = showMax - 8 // with its tags
		}
	}
	for _, out := range u.outputs {
		if out.to.kind == outNone {
			flags = listEngine
		}
		if out.to.mtu > 0 {
			longest = min(longest, uint32(out.to.mtu)+14)
		}
	}
	ne := binary.NativeEndian
	ne.PutUint16(v[laCount:], uint16(u.list.n))
	ne.PutUint16(v[laFlags:], flags)
	ne.PutUint32(v[laMax:], longest)
	for i := range u.list.n {
		copy(v[listHead+i*opLen:], u.list.ops[i][:])
	}
	return c.maps.lists.Put(u.at, v[:])
}
