package xlate

import (
	"slices"

	"govs/datapath/action"
	"govs/datapath/drop"
)

// An SFlow samples the packets that come into a bridge.
type SFlow struct {
	Probability uint32 // as action.Show has it
	To          action.Handler
}

// An IPFIX samples the packets that come into a bridge, and once for each
// port of it that they leave by.
type IPFIX struct {
	Probability   uint32
	Input, Output bool
	To            action.Handler
}

// Where a packet goes that does not leave by one port with an ifindex: "output"
// of an expanded flow sample (sFlow version 5, "Flow Sample Data").
const (
	sflowDropped = 0x40000000 | 256 // for no reason that has a code
	sflowMany    = 0x80000000       // beside the number of ports
)

// sampleArrived puts the samples of the bridge that the packet came into in
// front of the actions, which are whole.
func (w *walk) sampleArrived(in *iface) {
	var first []action.Action
	br := in.port.bridge
	if w.over {
		w.left = 0
	}
	if s := br.SFlow; s != nil {
		c := action.SFlow{Output: sflowMany | uint32(w.left), From: w.from}
		if w.left == 1 {
			c.To = w.to
		}
		switch {
		case w.left == 0:
			c.Output = sflowDropped
		case w.left == 1 && w.last != nil && w.last.Ifindex > 0:
			c.Output = uint32(w.last.Ifindex)
		}
		if w.left > 0 && w.have.n > 0 {
			c.TCI = w.seeVID(w.have.outer()) | w.seePCP(w.have.outer())
		}
		first = append(first, action.Show{Probability: s.Probability, Cookie: c, To: s.To})
	}
	if x := br.IPFIX; x != nil && x.Input {
		first = append(first, action.Show{Probability: x.Probability, Cookie: action.IPFIX{Output: action.NoOutput, Dropped: w.left == 0, From: w.from}, To: x.To})
	}
	if first == nil {
		return
	}
	if len(w.res.Actions) == 0 && !w.res.Taken {
		w.res.Actions = append(w.res.Actions, action.Drop{Reason: drop.Pipeline})
	}
	w.res.Actions = slices.Insert(w.res.Actions, 0, first...)
}

// sampleLeaving samples the packet, as it is, in front of an output, which to
// describes where it is a tunnel.
func (w *walk) sampleLeaving(i *iface, to action.Tunnel) {
	w.left++
	w.last, w.to = i, to
	if x := i.port.bridge.IPFIX; x != nil && x.Output {
		w.res.Actions = append(w.res.Actions, action.Show{Probability: x.Probability, Cookie: action.IPFIX{Output: i.No, From: w.from, To: to}, To: x.To})
	}
}
