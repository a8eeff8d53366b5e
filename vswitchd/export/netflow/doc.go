// Package netflow counts flows and exports them in the format of Cisco's
// NetFlow version 5 (ovs-vswitchd.conf.db(5), NetFlow table).
//
// A flow is what has the same input port, IPv4 addresses, protocol, transport
// ports and DSCP; a record of it goes out when it was silent for the passive
// timeout, every active timeout as long as it goes on, when it begins to
// leave by another port, and when everything is flushed. A record tells of
// the traffic since the one before it.
//
// Cache is the pure part: traffic and the time go in, datagrams come out.
// Exporter owns one, its sockets and one goroutine, and is an xlate.Sample.
//
// # Caveats
//
// Only IPv4 is reported, as version 5 has room for nothing else. ICMP type
// and code stand in the two bytes of the destination port. Bytes are those of
// the frames without FCS, as the C switch counts them, not those of the IP
// packets.
//
// Other than in the C switch the record of a flow that goes on begins where
// its last record ended, not where the flow did, so that records of one flow do
// not overlap; and the sequence number is the number of records before the
// datagram's first, which collectors use to find losses.
package netflow
