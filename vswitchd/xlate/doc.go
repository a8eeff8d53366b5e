// Package xlate translates packets that no megaflow covers into actions: the
// NORMAL pipeline of ovs-actions(7) ("The OVS Normal Pipeline"), which is
// ingress VLAN rules, learning, lookup or flooding, and egress VLAN rules.
//
// The Translator looks at a key field by field, and says in the answer's mask
// what it looked at, so that the megaflow is as wide as it can be: of the
// VLAN tag, for example, the priority counts only where it decides or is
// written back.
//
// The packet's tags are followed in two states: what the bridge wants them to
// be and what the actions so far made of them. Tags are pushed and popped only
// before an output, when the two differ, and the innermost that are alike stay.
//
// Patch ports cost nothing: the translation goes on in the peer's bridge, as
// deep as maxDepth.
//
// Frames of protocols that the switch speaks itself are not translated but
// handed to Config.Control. What those protocols have come to (which interface
// of a bond, which port of a spanning tree) is part of the configuration.
//
// A packet that goes into a tunnel gets its outer headers (TunnelPush), with
// which the translation goes on in the bridge that the route leads through. One
// that is for such a bridge's own address, and that a tunnel has sent, loses them
// (TunnelPop) and is translated anew as one that came by the tunnel. Of a route's
// next hop the link layer address is learned from ARP. What comes out of a tunnel
// without an Ethernet header gets one of zeros (PushEth), and flooded packets do
// not go into such a tunnel.
//
// # Caveats
//
// As many tags are looked at as the key has (other_config:vlan-limit, 1 by
// default): what stands behind them is payload, also after they were taken off.
//
// Flows of a balanced bond are placed when they are translated: those of
// balance-tcp are megaflows for each connection, unless the engine is to place
// them (lb-output-action).
//
// Mirrors are looked at in the order of the configuration, in C in that of a
// hash table: which of two mirrors with one destination decides the length, and
// which copy comes first where one mirror's output is another's source.
//
// Of tunnels: the mark of congestion goes to the outer header as it is (RFC
// 6040), where C sends ECT(0) in its place; ECN on the way back is the engine's
// work, so that no megaflow depends on it beyond the outer field; and what
// waits for a neighbour is translated packet by packet, where C has a megaflow
// that drops. ofproto/trace does not indent the bridge that a tunnel leads
// through. Where a packet came from that had no Ethernet header is not learned: its
// address is one that nobody has, and once C has learned it, it drops the packets
// that follow. By GTP-U go IP packets only, and frames are none, where C sends
// whatever it is told; of what comes the version and the length are looked at, and
// the extension headers are skipped.
//
// What the C switch does otherwise, on purpose: a frame whose VLAN the learned
// port does not carry is dropped here, and sent out there (this can come about
// by static entries, and by the customers' VLANs of dot1q-tunnel ports); a native VLAN 0 is carried beside a list of trunks,
// as the manual says; a flood into a circle of patch ports is dropped as a
// whole and not sent once for each round; the priority of a frame of VLAN 0 is
// part of the mask; and a second tag stays on a frame that enters a dot1q-tunnel
// port, or an access port with a tag of VLAN 0 in front, where C
// loses it, as it does with a second tag without VLAN and
// priority.
package xlate
