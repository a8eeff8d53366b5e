// Package drop names the reasons for which the switch discards packets, and
// keeps count and samples of what was discarded: no packet ends without a
// trace. Names are those of the coverage counters of the C switch
// (datapath_drop_*, drop_action_*) where it has one for the case.
//
// # Caveats
//
// A Log counts every drop, but samples only as many as can be taken without
// waiting: under a flood of drops from many goroutines some are counted and
// not sampled.
package drop

import "fmt"

// A Reason says why a packet was discarded.
type Reason uint8

// The reasons. The first group arises in the engine, the second in the
// translation of a packet.
const (
	// Pipeline is an empty list of actions: nothing wanted the packet.
	Pipeline Reason = iota

	Invalid     // the frame is too short for an Ethernet header
	NoPort      // an output to a port that is not there
	PortDown    // an output to a port that is down
	Policed     // more than the ingress policing rate
	Oversized   // longer than the output port's MTU allows
	Segment     // a large segment that cannot be cut
	Checksum    // a partial checksum that cannot be completed
	Headroom    // no room for another header
	UpcallError // no translator, or it gave no answer
	Metered     // more than a meter lets pass
	Recirc      // recirculated too often
	Rewrite     // a header that cannot be put on
	QueueFull   // more than the output port's queue holds
	Shaped      // by the output port's discipline: policed, delayed for too long, or to be lost

	TunnelPop  // outer headers of a tunnel that are cut off or malformed
	TunnelSum  // a checksum of theirs that is wrong
	TunnelECN  // congestion on the way, of which the sender would not hear
	TunnelPush // outer headers that cannot be put on

	NoBridge      // the input port belongs to no bridge
	Forwarding    // fail-secure, and no flows
	PortConfig    // the input port may not receive or forward
	BadVLAN       // the port does not carry the frame's VLAN
	ReservedGroup // a bridge protocol frame, not to be forwarded
	SamePort      // the only way out is the way in
	Protected     // from one protected port to another
	Bond          // a bond's interface that is not to receive it
	BadControl    // a frame of a protocol that the switch speaks, and that it does not understand
	MirrorPort    // a port that is there for mirrored packets
	SpanningTree  // a port that a spanning tree blocks
	Loop          // patch ports that lead in a circle
	NoTunnel      // out of a tunnel, but none that is configured
	NoRoute       // to a tunnel's other end, to which no route leads
	NoNeighbour   // to a tunnel's next hop, of which the address is not known
	numReasons
)

var names = [numReasons]string{
	Pipeline:      "drop_action_of_pipeline",
	Invalid:       "datapath_drop_rx_invalid_packet",
	NoPort:        "datapath_drop_invalid_port",
	PortDown:      "datapath_drop_port_down",
	Policed:       "datapath_drop_policing",
	Oversized:     "datapath_drop_mtu",
	Segment:       "datapath_drop_segment_error",
	Checksum:      "datapath_drop_checksum_error",
	Headroom:      "datapath_drop_headroom",
	UpcallError:   "datapath_drop_upcall_error",
	Metered:       "datapath_drop_meter",
	Recirc:        "datapath_drop_recirc_error",
	Rewrite:       "datapath_drop_rewrite_error",
	QueueFull:     "datapath_drop_qos_overflow",
	Shaped:        "datapath_drop_qos",
	TunnelPop:     "datapath_drop_tunnel_pop_error",
	TunnelSum:     "datapath_drop_tunnel_checksum",
	TunnelECN:     "datapath_drop_tunnel_ecn",
	TunnelPush:    "datapath_drop_tunnel_push_error",
	NoBridge:      "drop_action_bridge_not_found",
	Forwarding:    "drop_action_forwarding_disabled",
	PortConfig:    "drop_action_port_config",
	BadVLAN:       "drop_action_vlan",
	ReservedGroup: "drop_action_reserved_group",
	SamePort:      "drop_action_same_port",
	Protected:     "drop_action_protected_port",
	Bond:          "drop_action_bond",
	BadControl:    "drop_action_bad_control_frame",
	MirrorPort:    "drop_action_mirror_port",
	SpanningTree:  "drop_action_spanning_tree",
	Loop:          "drop_action_recursion_too_deep",
	NoTunnel:      "drop_action_no_tunnel",
	NoRoute:       "drop_action_tunnel_no_route",
	NoNeighbour:   "drop_action_tunnel_no_neighbor",
}

// Reasons are all reasons there are, in order.
func Reasons() []Reason {
	all := make([]Reason, numReasons)
	for i := range all {
		all[i] = Reason(i)
	}
	return all
}

// String is the reason's name.
func (r Reason) String() string {
	if r < numReasons {
		return names[r]
	}
	return fmt.Sprintf("drop_reason_%d", uint8(r))
}

// OfPipeline says whether it was the translation that wanted the packet dropped,
// and not the engine on the way.
func (r Reason) OfPipeline() bool { return r == Pipeline || r >= NoBridge && r < numReasons }

// Parse is the reason of that name.
func Parse(name string) (Reason, error) {
	for r, n := range names {
		if n == name {
			return Reason(r), nil
		}
	}
	return 0, fmt.Errorf("%s: unknown drop reason", name)
}
