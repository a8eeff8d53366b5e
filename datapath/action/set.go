package action

import (
	"fmt"
	"strconv"
	"strings"

	"govs/datapath/flow"
)

// Set writes fields of one header, with what checksums cover them. Bits of the
// key that do not matter in the mask stay as they are; headers that the packet
// does not have, too.
type Set struct {
	Group string // one of flow.Groups
	Key   flow.Key
	Mask  flow.Mask
}

func (a Set) String() string { return "set(" + flow.FormatGroup(a.Group, &a.Key, &a.Mask) + ")" }

// SetPriority selects the queue of a port's QoS in which the packet waits, at
// the Outputs that follow.
type SetPriority struct{ Queue uint32 }

func (a SetPriority) String() string {
	if a.Queue == 0 {
		return "set(skb_priority(0))"
	}
	return fmt.Sprintf("set(skb_priority(%#x))", a.Queue)
}

func parseSet(args string) (Action, error) {
	if n, ok := strings.CutPrefix(args, "skb_priority("); ok {
		n, closed := strings.CutSuffix(n, ")")
		q, err := strconv.ParseUint(n, 0, 32)
		if err != nil || !closed {
			return nil, fmt.Errorf("set: skb_priority: bad value %q", n)
		}
		return SetPriority{uint32(q)}, nil
	}
	name, k, m, err := flow.ParseGroup(args)
	if err != nil {
		return nil, fmt.Errorf("set: %w", err)
	}
	return Set{name, k, m}, nil
}

// PushMPLS puts a label stack entry in front of what follows the Ethernet
// header and its VLAN tags (RFC 3032).
type PushMPLS struct {
	Entry uint32 // label, traffic class, bottom of stack, time to live
	Type  uint16 // 0x8847 or 0x8848
}

func (a PushMPLS) String() string {
	e := a.Entry
	return fmt.Sprintf("push_mpls(label=%d,tc=%d,ttl=%d,bos=%d,eth_type=%#x)", e>>12, e>>9&7, e&0xff, e>>8&1, a.Type)
}

// PopMPLS takes the first label stack entry away, and says what follows;
// nothing happens where there is none.
type PopMPLS struct{ Type uint16 }

func (a PopMPLS) String() string { return fmt.Sprintf("pop_mpls(eth_type=%#x)", a.Type) }

// Meter lets the packet pass, or drops it, as the engine's meter of that number
// says. One that is not there lets everything pass.
type Meter struct{ ID uint32 }

func (a Meter) String() string { return fmt.Sprintf("meter(%d)", a.ID) }

// Recirc takes the packet through the megaflows once more, as one with that
// recirc_id.
type Recirc struct{ ID uint32 }

func (a Recirc) String() string { return fmt.Sprintf("recirc(%#x)", a.ID) }
