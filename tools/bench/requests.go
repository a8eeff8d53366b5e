package main

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"strconv"
)

// number appends n in seven digits, so that messages of one kind have one length.
func number(b []byte, n int) []byte { return strconv.AppendInt(b, int64(1000000+n%9000000), 10) }

// A table of the prepared databases, for rowID.
const (
	bridgeRow = iota
	portRow
	interfaceRow
)

// rowID is the UUID of row n of a table in a prepared database. Its digits are
// spread as those of a random UUID are, for hash tables' sake.
func rowID(table, n int) string {
	r := rand.NewPCG(uint64(table), uint64(n))
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:], r.Uint64())
	binary.BigEndian.PutUint64(raw[8:], r.Uint64())
	raw[6], raw[8] = raw[6]&0x0f|0x40, raw[8]&0x3f|0x80
	h := hex.EncodeToString(raw[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// transact appends a request; its operations follow, and end.
func transact(b []byte, id int) []byte {
	b = append(b, `{"id":`...)
	b = number(b, id)
	return append(b, `,"method":"transact","params":["Open_vSwitch"`...)
}

var end = []byte(`]}`)

// addBridge appends what ovs-vsctl add-br sends, without its wait operations.
func addBridge(b []byte, client, n int, durable bool) []byte {
	b = transact(b, n)
	for _, op := range []string{
		`,{"op":"insert","table":"Interface","uuid-name":"i","row":{"type":"internal","name":"b`,
		`,{"op":"insert","table":"Port","uuid-name":"p","row":{"interfaces":["named-uuid","i"],"name":"b`,
		`,{"op":"insert","table":"Bridge","uuid-name":"b","row":{"ports":["named-uuid","p"],"name":"b`,
	} {
		b = append(b, op...)
		b = strconv.AppendInt(b, int64(client), 10)
		b = append(b, '.')
		b = number(b, n)
		b = append(b, `"}}`...)
	}
	b = append(b, `,{"op":"mutate","table":"Open_vSwitch","where":[],"mutations":[["bridges","insert",["set",[["named-uuid","b"]]]],["next_cfg","+=",1]]}`...)
	if durable {
		b = append(b, `,{"op":"commit","durable":true}`...)
	}
	return append(b, end...)
}

// fillBridges appends a transaction that inserts the bridges from..to-1 of a
// prepared database, of three rows each. Bridge n is named bN, as are its port
// and its interface.
func fillBridges(b []byte, from, to int) []byte {
	b = transact(b, from)
	name := func(n int) { b = number(append(b, `"name":"b`...), n) }
	for n := from; n < to; n++ {
		b = append(b, `,{"op":"insert","table":"Interface","uuid":"`+rowID(interfaceRow, n)+`","row":{"type":"internal",`...)
		name(n)
		b = number(append(b, `","external_ids":["map",[["attached-mac","52:54:00:12:34:56"],["iface-id","0f0e0d0c-`...), n)
		b = append(b, `"],["iface-status","active"]]]}}`...)
		b = append(b, `,{"op":"insert","table":"Port","uuid":"`+rowID(portRow, n)+`","row":{"interfaces":["uuid","`+rowID(interfaceRow, n)+`"],"tag":7,`...)
		name(n)
		b = append(b, `"}},{"op":"insert","table":"Bridge","uuid":"`+rowID(bridgeRow, n)+`","row":{"datapath_type":"netdev","ports":["uuid","`+rowID(portRow, n)+`"],`...)
		name(n)
		b = append(b, `"}}`...)
	}
	b = append(b, `,{"op":"mutate","table":"Open_vSwitch","where":[],"mutations":[["bridges","insert",["set",[`...)
	for n := from; n < to; n++ {
		if n > from {
			b = append(b, ',')
		}
		b = append(b, `["uuid","`+rowID(bridgeRow, n)+`"]`...)
	}
	return append(append(b, `]]]]}`...), end...)
}

// insertRoot appends the transaction that makes the row of Open_vSwitch.
func insertRoot(b []byte) []byte {
	b = append(transact(b, 0), `,{"op":"insert","table":"Open_vSwitch","row":{"next_cfg":1000000}}`...)
	return append(b, end...)
}

// bump appends a transaction that changes one integer of the row of Open_vSwitch.
func bump(b []byte, n int) []byte {
	b = append(transact(b, n), `,{"op":"update","table":"Open_vSwitch","where":[],"row":{"next_cfg":`...)
	return append(append(number(b, n), `}}`...), end...)
}

// updateRow appends a transaction that changes a column of one interface.
func updateRow(b []byte, row, n int) []byte {
	b = append(transact(b, n), `,{"op":"update","table":"Interface","where":[["_uuid","==",["uuid","`...)
	b = append(b, rowID(interfaceRow, row)...)
	b = append(b, `"]]],"row":{"external_ids":["map",[["n","`...)
	return append(append(number(b, n), `"]]]}}`...), end...)
}

// updateStatistics appends a transaction that sets the statistics of the
// interfaces with these UUIDs, as a switch does every few seconds: of thirteen
// counters four have moved.
func updateStatistics(b []byte, ids []string, n int) []byte {
	b = transact(b, n)
	for _, id := range ids {
		b = append(b, `,{"op":"update","table":"Interface","where":[["_uuid","==",["uuid","`...)
		b = append(b, id...)
		b = append(b, `"]]],"row":{"statistics":["map",[["collisions",0],["rx_bytes",`...)
		b = number(b, n)
		b = append(b, `],["rx_crc_err",0],["rx_dropped",0],["rx_errors",0],["rx_frame_err",0],["rx_missed_errors",0],["rx_over_err",0],["rx_packets",`...)
		b = number(b, n)
		b = append(b, `],["tx_bytes",`...)
		b = number(b, n)
		b = append(b, `],["tx_dropped",0],["tx_errors",0],["tx_packets",`...)
		b = number(b, n)
		b = append(b, `]]]}}`...)
	}
	return append(b, end...)
}

// selectRow appends a transaction that reads one interface, by its UUID or by
// its name, which is an index of the table.
func selectRow(b []byte, byName bool, id string, row, n int) []byte {
	b = append(transact(b, n), `,{"op":"select","table":"Interface","columns":["_uuid","name","external_ids"],"where":[[`...)
	if byName {
		b = append(number(append(b, `"name","==","b`...), row), `"]]}`...)
	} else {
		b = append(b, `"_uuid","==",["uuid","`...)
		b = append(append(b, id...), `"]]]}`...)
	}
	return append(b, end...)
}

// monitorAll appends a request for all columns of the four tables, with a
// condition of the client's own where client is not negative: it holds for
// every row.
func monitorAll(b []byte, client int) []byte {
	b = append(b, `{"id":1,"method":"monitor_cond","params":["Open_vSwitch",null,{"Open_vSwitch":[{}]`...)
	for _, table := range []string{"Bridge", "Port", "Interface"} {
		b = append(b, `,"`+table+`":[{`...)
		if client >= 0 {
			b = append(condition(b, client), `}]`...)
		} else {
			b = append(b, `}]`...)
		}
	}
	return append(b, `}]}`...)
}

// condition appends a member of a monitor request.
func condition(b []byte, client int) []byte {
	return append(number(append(b, `"where":[["name","!=","none`...), client), `"]]`...)
}

// monitorInterfaces appends a request for all columns of the interfaces, with a
// condition as monitorAll has it.
func monitorInterfaces(b []byte, method string, client int) []byte {
	b = append(b, `{"id":1,"method":"`+method+`","params":["Open_vSwitch",null,{"Interface":[{`...)
	if client >= 0 {
		b = condition(b, client)
	}
	return append(b, `}]}]}`...)
}
