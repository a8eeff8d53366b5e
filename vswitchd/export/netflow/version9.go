package netflow

import (
	"encoding/binary"
	"time"
)

// Templates are sent again after so much time and after so many datagrams,
// whatever is first (RFC 3954, section 9): a collector may have started since,
// and UDP loses.
const (
	TemplateTime      = time.Minute
	TemplateDatagrams = 20
)

const (
	headerLen9   = 20
	maxDatagram9 = 1400 // bytes, so that no datagram is cut to fragments

	setTemplates = 0 // numbers of FlowSets (RFC 3954, section 5)
	setOptions   = 1

	templateIPv4   = 256
	templateICMP   = 257
	templateIPv6   = 258
	templateICMPv6 = 259
	templateTotals = 260 // an options template
)

// A field of a template: a type of RFC 3954, section 8, and a length in bytes.
type field struct{ kind, length uint16 }

// The types of fields.
const (
	inBytes, inPackets           = 1, 2
	protocol, sourceTOS, flags   = 4, 5, 6
	sourcePort, destinationPort  = 7, 11
	sourceIPv4, destinationIPv4  = 8, 12
	inputInterface, outInterface = 10, 14
	lastSwitched, firstSwitched  = 21, 22
	sourceIPv6, destinationIPv6  = 27, 28
	icmpType                     = 32 // type times 256 and code
	totalBytes, totalPackets     = 40, 41
	totalFlows                   = 42
	ipVersion, flowDirection     = 60, 61

	scopeSystem = 1
)

// template is the number of the record's template.
func (f *Flow) template() uint16 {
	switch {
	case f.IPv6 && f.icmp():
		return templateICMPv6
	case f.IPv6:
		return templateIPv6
	case f.icmp():
		return templateICMP
	}
	return templateIPv4
}

// fields are those of a template's records, in order; append9 writes them.
func fields(template uint16) []field {
	list := []field{{sourceIPv4, 4}, {destinationIPv4, 4}}
	if template == templateIPv6 || template == templateICMPv6 {
		list = []field{{sourceIPv6, 16}, {destinationIPv6, 16}}
	}
	list = append(list, []field{
		{inputInterface, 2}, {outInterface, 2}, {inPackets, 8}, {inBytes, 8}, {firstSwitched, 4}, {lastSwitched, 4},
		{sourcePort, 2}, {destinationPort, 2}, {protocol, 1}, {sourceTOS, 1}, {flags, 1}, {ipVersion, 1}, {flowDirection, 1},
	}...)
	if template == templateICMP || template == templateICMPv6 {
		list = append(list, field{icmpType, 2})
	}
	return list
}

// append9 writes a data record.
func (s *Settings) append9(b []byte, r *record, boot time.Time) []byte {
	be := binary.BigEndian
	size, version := 4, uint8(4)
	if r.IPv6 {
		size, version = 16, 6
	}
	b = append(append(b, r.Src[:size]...), r.Dst[:size]...)
	b = be.AppendUint16(be.AppendUint16(b, s.iface(r.In)), s.iface(r.out))
	b = be.AppendUint64(be.AppendUint64(b, r.packets), r.bytes)
	b = be.AppendUint32(be.AppendUint32(b, millis(r.first, boot)), millis(r.last, boot))
	b = be.AppendUint16(be.AppendUint16(b, r.SrcPort), r.DstPort)
	b = append(b, r.Proto, r.TOS, r.flags, version, 0) // 0: at the way in
	if r.icmp() {
		b = be.AppendUint16(b, r.DstPort)
	}
	return b
}

func (t *totals) add(r *record) {
	t.records++
	t.packets += r.packets
	t.bytes += r.bytes
}

// A datagram9 is a datagram of version 9 that is being filled.
type datagram9 struct {
	b       []byte // with room for the header
	count   uint16 // of records, of templates and of data
	set     int    // where the FlowSet that is being filled begins; 0 for none
	current uint16 // its number
}

// open begins another FlowSet, unless it is that of the record before.
func (d *datagram9) open(set uint16) {
	if d.set > 0 && d.current == set {
		return
	}
	d.close()
	d.set, d.current = len(d.b), set
	d.b = binary.BigEndian.AppendUint32(d.b, uint32(set)<<16)
}

// close ends a FlowSet at a multiple of four bytes.
func (d *datagram9) close() {
	if d.set == 0 {
		return
	}
	for (len(d.b)-d.set)%4 != 0 {
		d.b = append(d.b, 0)
	}
	binary.BigEndian.PutUint16(d.b[d.set+2:], uint16(len(d.b)-d.set))
	d.set = 0
}

// version9 encodes the due records in datagrams of version 9, the first behind
// the templates where these are due.
func (c *Cache) version9(now time.Time) (out [][]byte) {
	d := datagram9{b: make([]byte, headerLen9, maxDatagram9)}
	end := func() {
		d.close()
		c.header9(d.b, d.count, now)
		out = append(out, d.b)
		c.since++
		d = datagram9{b: make([]byte, headerLen9, maxDatagram9)}
	}
	if c.fresh || now.Sub(c.told) >= TemplateTime {
		c.templates9(&d, now)
	}
	for i := range c.due {
		r := &c.due[i]
		rec := c.set.append9(nil, r, c.boot)
		const most = 4 + 3 // a FlowSet's header and padding
		if len(d.b)+most+len(rec)+most > maxDatagram9 {
			end()
		}
		if d.count == 0 && c.since >= TemplateDatagrams {
			c.templates9(&d, now)
		}
		d.open(r.template())
		d.b = append(d.b, rec...)
		d.count++
		c.exported.add(r)
	}
	if d.count > 0 {
		end()
	}
	return out
}

// header9 writes the header (RFC 3954, section 5.1) of a datagram.
func (c *Cache) header9(b []byte, count uint16, now time.Time) {
	be := binary.BigEndian
	be.PutUint16(b, 9)
	be.PutUint16(b[2:], count)
	be.PutUint32(b[4:], millis(now, c.boot))
	be.PutUint32(b[8:], uint32(now.Unix()))
	be.PutUint32(b[12:], c.seq)
	be.PutUint32(b[16:], c.set.source())
	c.seq++
}

// source is the Source ID: engine type and id, as in routers that have both.
func (s *Settings) source() uint32 { return uint32(s.EngineType)<<8 | uint32(s.EngineID) }

// templates9 writes all templates, and what was told of so far.
func (c *Cache) templates9(d *datagram9, now time.Time) {
	c.fresh, c.told, c.since = false, now, 0
	be := binary.BigEndian
	d.open(setTemplates)
	for id := uint16(templateIPv4); id <= templateICMPv6; id++ {
		list := fields(id)
		d.b = be.AppendUint16(be.AppendUint16(d.b, id), uint16(len(list)))
		for _, f := range list {
			d.b = be.AppendUint16(be.AppendUint16(d.b, f.kind), f.length)
		}
		d.count++
	}
	d.open(setOptions)
	// One scope field and three others of four bytes each.
	for _, v := range []uint16{templateTotals, 4, 12, scopeSystem, 4, totalFlows, 8, totalPackets, 8, totalBytes, 8} {
		d.b = be.AppendUint16(d.b, v)
	}
	d.count++
	d.open(templateTotals)
	d.b = be.AppendUint32(d.b, c.set.source())
	for _, v := range []uint64{c.exported.records, c.exported.packets, c.exported.bytes} {
		d.b = be.AppendUint64(d.b, v)
	}
	d.count++
}
