// Package sflow samples packets and counters and tells collectors of them in
// the format of sFlow version 5 (the memo "sFlow Version 5" of sflow.org, July
// 2004; ovs-vswitchd.conf.db(5), sFlow table).
//
// Agent is the pure part: samples and the time go in, datagrams come out.
// Exporter owns one, its sockets and one goroutine. As an action.Handler it is
// called on the packet path, where it writes a flow sample into the datagram
// that is being filled; a datagram goes out when it is full, and after a
// second at the latest.
//
// A flow sample has the first bytes of the frame and the extended switch data
// (VLAN and priority at both ends); of a packet that came out of a tunnel, or goes
// into one and nowhere else, the key and the outer header of that ("sFlow
// Tunnel Structures" of sflow.org, November 2012). A counters sample of an interface has its
// generic and Ethernet counters, its OpenFlow number with the datapath id, and
// its name; of the whole, the use of the machine by the process, and the
// datapath's lookups.
//
// # Caveats
//
// The source of flow samples is the bridge as a whole, as in the C switch; the
// sample pool grows by the sampling rate with each sample, so that it is the
// expected number of packets and not the counted one. Interfaces without
// ifindex have no counters samples. Samples that come faster than they can be
// sent are counted as drops.
//
// The C switch has the bytes of a tunnel's UDP ports in the wrong order, 0 for
// the protocol of an ERSPAN tunnel that a packet came out of, and no key of one
// that it goes into; ours are right. Of tunnels over IPv6 it tells nothing, or
// zeros. Neither knows the source port of UDP on the way into a tunnel, nor
// the length of the outer packet.
package sflow
