// Package ipfix makes flow records of sampled packets and sends them to
// collectors by IPFIX (RFC 7011; information elements of RFC 7012's registry
// and those of VMware that ovs-vswitchd.conf.db(5) names, IPFIX table).
//
// Cache is the pure part: packets and the time go in, messages come out.
// Exporter owns one, its sockets and one goroutine. As an action.Handler it is
// called on the packet path, where the packet is added to the record of its
// flow.
//
// A flow is what has the same direction, ports, addresses, protocol, transport
// ports, type of service and VLAN. Its record goes out when the flow was in
// the cache for the active timeout, when it is the oldest of a full cache, and
// at once where there is no cache. Templates go out every ten minutes, and
// before the first record; so does an options record with the number of
// packets that could not be told of, which is all that the C switch tells of
// itself. Both times can be set, by keys of other_config that are named as the
// columns that later releases of Open vSwitch have for them.
//
// FlowExporter does the same for packets that single flows sample, whose
// actions name the collectors, the observation domain and the point. Each
// domain has a cache, templates and numbers of its own, and the limit of flows
// holds for each; the C switch sends the templates of one domain only.
//
// # Caveats
//
// A template is there for each kind of record: with or without a second
// (output) port, a VLAN tag, a tunnel, IPv4 or IPv6, transport ports or ICMP.
// Template ids, and the fields and their order, are those of the C switch.
//
// A record at the way in tells of the tunnel that the packet came out of, one at
// the way out of that which it goes into (where the source port of UDP is not
// known, and 0). The C switch has no record of packets that leave through a
// tunnel of its own, and 0 for Geneve's protocol. ERSPAN has no number among
// those of tunnelType, and the addresses are those of IPv4 only: ERSPAN and
// tunnels over IPv6 are left out in both.
//
// Other than in the C switch the "total" counters of a record are those of its
// flow since the record was begun, and equal the "delta" ones: there they are
// those of the whole exporter, which collectors that read both (nfcapd) take
// for the flow's. The numbers of unicast, multicast and broadcast packets are
// the exporter's, as their names say. A packet whose tag changes on its way out
// is not dropped, other than there. The sequence number is that of RFC 7011,
// section 3.1: data records before the message.
package ipfix
