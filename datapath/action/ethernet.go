package action

import (
	"fmt"
	"net"

	"govs/datapath/flow"
)

// PushEth gives a packet without an Ethernet header one with these addresses.
type PushEth struct{ Src, Dst [6]byte }

// PopEth takes the Ethernet header away, tags and all: for a TunnelPush of what
// carries packets without one.
type PopEth struct{}

func (a PushEth) String() string {
	return fmt.Sprintf("push_eth(src=%s,dst=%s)", net.HardwareAddr(a.Src[:]), net.HardwareAddr(a.Dst[:]))
}

func (PopEth) String() string { return "pop_eth" }

func parsePushEth(args string) (Action, error) {
	name, key, mask, err := flow.ParseGroup("eth(" + args + ")")
	a := PushEth{key.EthSrc, key.EthDst}
	if err != nil || a.String() != "push_"+flow.FormatGroup(name, &key, &mask) {
		return nil, fmt.Errorf("push_eth: %s: not src=ADDRESS,dst=ADDRESS", args)
	}
	return a, nil
}
