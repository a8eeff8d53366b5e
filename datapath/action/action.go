// Package action holds what the switch does with a packet. Each action is one
// type with its text form, which is that of `ovs-appctl dpctl/dump-flows`;
// Parse reads the form back to the same actions.
//
// # Caveats
//
// An action says what to do with a packet as the actions before it left it:
// the engine carries them out in order.
package action

import (
	"fmt"

	"govs/datapath/drop"
	"govs/datapath/flow"
)

// An Action is one step of what is done with a packet. Actions are immutable.
type Action interface {
	// String is the action in the syntax of dpctl(8).
	String() string
}

// Output sends the packet, as it is at that step, to a port.
type Output struct{ Port flow.PortNo }

// PushVLAN puts a tag in front of those that are there. A TPID of 0 stands for
// 0x8100.
type PushVLAN struct{ Tag flow.VLAN }

// PopVLAN takes the outermost tag away; nothing happens where there is none.
type PopVLAN struct{}

// Truncate has the next Output send no more of the packet than Len bytes, from
// its Ethernet header on; of a large segment, of each frame that it becomes.
type Truncate struct{ Len uint32 }

// LBOutput sends the packet to the port that a bond has for flows like its own
// (engine.SetBond).
type LBOutput struct{ Bond uint32 }

// Drop ends the packet, for a reason that is counted. An empty list of
// actions drops too, for drop.Pipeline.
type Drop struct{ Reason drop.Reason }

// Userspace has the translator look at the packet, each time, and does what it
// says for this one. It is the only action of its list.
type Userspace struct{}

func (Userspace) String() string { return "userspace(pid=0,slow_path(action))" }

func (a Output) String() string { return fmt.Sprintf("%d", a.Port) }

func (a PushVLAN) String() string {
	tpid := ""
	if a.Tag.TPID != 0 && a.Tag.TPID != flow.TPID8021Q {
		tpid = fmt.Sprintf("tpid=%#04x,", a.Tag.TPID)
	}
	return fmt.Sprintf("push_vlan(%svid=%d,pcp=%d)", tpid, a.Tag.VID(), a.Tag.PCP())
}

func (a Truncate) String() string { return fmt.Sprintf("trunc(%d)", a.Len) }

func (a LBOutput) String() string { return fmt.Sprintf("lb_output(%d)", a.Bond) }

func (PopVLAN) String() string { return "pop_vlan" }

// String is "drop", or "drop(NAME)" for another reason than drop.Pipeline.
func (a Drop) String() string {
	if a.Reason == drop.Pipeline {
		return "drop"
	}
	return "drop(" + a.Reason.String() + ")"
}
