package engine

import (
	"time"

	"govs/datapath/action"
	"govs/datapath/flow"
	"govs/datapath/packet"
)

// A Translator decides what becomes of packets that no megaflow covers.
// vswitchd/xlate implements it. Many goroutines may call it at once.
type Translator interface {
	// Translate fills res for packets like req.Key. It reads the key through
	// nothing but the fields that it sets in res.Mask: packets that agree in
	// those get the same actions, without asking again.
	Translate(req *Request, res *Result)
}

// A Request is one miss, or one megaflow that is looked at again.
type Request struct {
	Key *flow.Key
	// Packet is the packet that missed, nil when a megaflow is revalidated:
	// then nothing is learned and no state changes but what Credit does.
	// The translator only reads it.
	Packet *packet.Packet
	Now    time.Time
	// Note is told what the translator does, in the words of ofproto/trace: a
	// bridge's name when the packet enters it, or else what becomes of the packet
	// there. It is nil but in Ask.
	Note func(bridge, text string)
}

// A Result is the answer to a Request. The engine resets and reuses it.
type Result struct {
	// Mask tells which bits of the key the answer depends on. InPort, RecircID,
	// EthType, and presence and TPIDs of VLAN tags, always count.
	Mask flow.Mask
	// Actions are what is done, in order; an empty list drops.
	Actions []action.Action
	// Credit gets the traffic that the megaflow carried, in the order given.
	Credit []Creditor
	// Slow asks that the translator see every packet of the megaflow that is
	// installed: Actions are for the one packet.
	Slow bool
	// Uncacheable asks that no megaflow be installed: the packet alone is handled.
	Uncacheable bool
	// Taken says that the packet has come to where it belongs: the switch
	// itself. Where there are no actions it does not count as dropped.
	Taken bool
}

// A Creditor is told of traffic: a learned address is refreshed, a NetFlow
// record counts on. The engine calls it from its revalidator, about twice a
// second for each megaflow that was used, and once more before the megaflow
// goes; never from the packet path. The packet that missed counts too; where
// no megaflow was installed for it, it is credited at once, by the goroutine
// that asked for its translation.
type Creditor interface {
	Credit(key *flow.Key, t Traffic)
}

// Traffic is what went through a megaflow since the last time.
type Traffic struct {
	Packets  uint64
	Bytes    uint64 // frame bytes without FCS; a large segment counts as the frames it becomes, and so does Packets
	TCPFlags uint16 // all flags seen, or-ed
	First    time.Time
	Last     time.Time
}
