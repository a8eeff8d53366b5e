package server

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"govs/internal/json"
	"govs/ovsdb/storage/memory"
	"govs/ovsdb/txn"
	"govs/schema/vswitch"
)

// BenchmarkBatch parses and executes transactions in batches, as the sequencer
// does when many clients wait: without sockets and without a file.
func BenchmarkBatch(b *testing.B) {
	s := New(Config{})
	defer s.Close()
	if err := s.AddDatabase("x", memory.New(vswitch.JSON())); err != nil {
		b.Fatal(err)
	}
	db := s.Database("Open_vSwitch")
	if _, err := db.Transact([]byte(`["Open_vSwitch",{"op":"insert","table":"Open_vSwitch","row":{}}]`)); err != nil {
		b.Fatal(err)
	}
	id := func(n int) string { return fmt.Sprintf("%08x-0000-4000-8000-000000000001", n) }
	add := func(n int) string {
		return fmt.Sprintf(`["Open_vSwitch",{"op":"insert","row":{"name":"br%[1]d","type":"internal"},"table":"Interface","uuid-name":"i","uuid":"%[2]s"},`+
			`{"op":"insert","row":{"interfaces":["named-uuid","i"],"name":"br%[1]d"},"table":"Port","uuid-name":"p"},`+
			`{"op":"insert","row":{"name":"br%[1]d","ports":["named-uuid","p"]},"table":"Bridge","uuid-name":"b"},`+
			`{"mutations":[["bridges","insert",["set",[["named-uuid","b"]]]],["next_cfg","+=",1]],"op":"mutate","table":"Open_vSwitch","where":[]}]`, n, id(n))
	}
	const rows = 5000
	update := func(n int) string {
		return fmt.Sprintf(`["Open_vSwitch",{"op":"update","row":{"external_ids":["map",[["iface-id","vif-%d"]]]},"table":"Interface","where":[["_uuid","==",["uuid","%s"]]]}]`, n, id(n%rows))
	}
	statistics := func(n int) string {
		var t strings.Builder
		t.WriteString(`["Open_vSwitch"`)
		for i := range 50 {
			fmt.Fprintf(&t, `,{"op":"update","row":{"statistics":["map",[["collisions",%[1]d],["rx_bytes",%[1]d],["rx_errors",%[1]d],["rx_packets",%[1]d],["tx_bytes",%[1]d],["tx_packets",%[1]d]]]},`+
				`"table":"Interface","where":[["_uuid","==",["uuid","%[2]s"]]]}`, n, id((n*50+i)%rows))
		}
		return t.String() + "]"
	}
	n := 0
	var doc json.Doc
	for _, c := range []struct {
		name  string
		batch int
		text  func(int) string
	}{{"add-br", 32, add}, {"update", 8, update}, {"statistics", 2, statistics}} {
		if c.name == "update" {
			for ; n < rows; n++ {
				if _, err := db.Transact([]byte(add(n))); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.Run(c.name, func(b *testing.B) {
			var texts [][]byte
			for range b.N {
				texts = append(texts, []byte(c.text(n)))
				n++
			}
			b.ReportAllocs()
			b.ResetTimer()
			failed := 0
			for len(texts) > 0 {
				k := min(c.batch, len(texts))
				batch := make([]*request, k)
				for i := range batch {
					v, err := doc.Parse(texts[i])
					if err != nil {
						b.Fatal(err)
					}
					batch[i] = &request{db: db, txn: txn.Parse(db.schema, v), started: time.Now(), reply: func(r []byte) {
						if len(r) < 10 || strings.Contains(string(r), "error") {
							failed++
						}
					}}
				}
				db.run(batch)
				texts = texts[k:]
			}
			if failed > 0 {
				b.Fatal(failed, "transactions failed")
			}
		})
	}
}
