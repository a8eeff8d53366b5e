// Package netflow counts flows and exports them in the format of Cisco's
// NetFlow version 5 (ovs-vswitchd.conf.db(5), NetFlow table), or of version 9
// (RFC 3954; decision 18).
//
// A flow is what has the same input port, IP addresses, protocol, transport
// ports and DSCP; a record of it goes out when it was silent for the passive
// timeout, every active timeout as long as it goes on, when it begins to
// leave by another port, and when everything is flushed. A record tells of
// the traffic since the one before it.
//
// Cache is the pure part: traffic and the time go in, datagrams come out.
// Exporter owns one, its sockets and one goroutine, and is an xlate.Sample.
//
// Version 9 has a template for each of IPv4, IPv6, and ICMP of both, and an
// options template by which the exporter tells how many records, packets and
// bytes it told of before (fields 42, 41, 40; the scope is the system). They
// go out before the first record, every minute, after 20 datagrams, and when
// collectors are new. The source id is the engine type times 256 and the
// engine id.
//
// # Caveats
//
// Version 5 tells of IPv4 only, as it has room for nothing else: so does the C
// switch. ICMP type and code stand in the two bytes of the destination port,
// and in version 9 also in field 32. Bytes are those of the frames without
// FCS, as the C switch counts them, not those of the IP packets.
//
// The C switch has no version 9. In ours counters have 64 bits, so that a
// large flow is one record, and the sequence number is that of datagrams.
//
// An active timeout of -1 is none, as the manual says; the C switch 3.1 logs
// that it takes it for the default.
//
// Other than in the C switch the record of a flow that goes on begins where
// its last record ended, not where the flow did, so that records of one flow do
// not overlap; and the sequence number is the number of records before the
// datagram's first, which collectors use to find losses.
package netflow
