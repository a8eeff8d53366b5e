package txn

import (
	"fmt"
	"testing"

	"govs/internal/json"
	"govs/ovsdb/store"
	"govs/schema"
	"govs/schema/atom"
	"govs/schema/vswitch"
)

// bridges returns a database with n bridges, each with a port and an interface,
// and the UUIDs of the interfaces.
func bridges(b testing.TB, n int) (*ours, []atom.UUID) {
	s, err := schema.Parse(vswitch.JSON())
	if err != nil {
		b.Fatal(err)
	}
	o := &ours{store.New(s)}
	o.transact(`["Open_vSwitch",{"op":"insert","table":"Open_vSwitch","row":{}}]`)
	for i := range n {
		if r := o.transact(addBridge(i)); len(r) < 100 || o.db.Snapshot().Len(s.Table("Bridge")) != i+1 {
			b.Fatal(r)
		}
	}
	var ids []atom.UUID
	for r := range o.db.Snapshot().Rows(s.Table("Interface")) {
		ids = append(ids, r.UUID)
	}
	return o, ids
}

func addBridge(i int) string {
	return fmt.Sprintf(`["Open_vSwitch",{"op":"wait","timeout":0,"table":"Bridge","where":[["name","==","br%d"]],"columns":["name"],"until":"==","rows":[]},`+
		`{"op":"insert","table":"Interface","row":{"name":"br%d","type":"internal"},"uuid-name":"i"},`+
		`{"op":"insert","table":"Port","row":{"name":"br%d","interfaces":["named-uuid","i"]},"uuid-name":"p"},`+
		`{"op":"insert","table":"Bridge","row":{"name":"br%d","ports":["named-uuid","p"]},"uuid-name":"b"},`+
		`{"op":"mutate","table":"Open_vSwitch","where":[],"mutations":[["bridges","insert",["named-uuid","b"]],["next_cfg","+=",1]]},`+
		`{"op":"select","table":"Open_vSwitch","where":[],"columns":["next_cfg"]}]`, i, i, i, i)
}

func BenchmarkAddBridge(b *testing.B) {
	for _, n := range []int{0, 1000, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			o, _ := bridges(b, n)
			i := n
			b.ReportAllocs()
			for b.Loop() {
				o.transact(addBridge(i))
				i++
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	s, _ := schema.Parse(vswitch.JSON())
	text := []byte(addBridge(1))
	var d json.Doc
	b.ReportAllocs()
	for b.Loop() {
		v, err := d.Parse(text)
		if err != nil {
			b.Fatal(err)
		}
		Parse(s, v)
	}
}

func BenchmarkScan(b *testing.B) {
	text := []byte(addBridge(1))
	var d json.Doc
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := d.Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}

func statistics(ids []atom.UUID, from, n, v int) string {
	s := `["Open_vSwitch"`
	for i := range n {
		s += fmt.Sprintf(`,{"op":"update","table":"Interface","where":[["_uuid","==",["uuid","%s"]]],"row":{"statistics":["map",[["rx_bytes",%d],["rx_packets",%d],["tx_bytes",%d],["tx_packets",%d]]]}}`,
			ids[(from+i)%len(ids)], v, v+1, v+2, v+3)
	}
	return s + "]"
}

func BenchmarkUpdate(b *testing.B) {
	o, ids := bridges(b, 1000)
	for _, n := range []int{1, 50} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				i++
				o.transact(statistics(ids, i, n, i))
			}
		})
	}
}

func BenchmarkSelect(b *testing.B) {
	o, ids := bridges(b, 5000)
	b.Run("uuid", func(b *testing.B) {
		tx := fmt.Sprintf(`["Open_vSwitch",{"op":"select","table":"Interface","where":[["_uuid","==",["uuid","%s"]]]}]`, ids[7])
		b.ReportAllocs()
		for b.Loop() {
			o.transact(tx)
		}
	})
	b.Run("index", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			o.transact(`["Open_vSwitch",{"op":"select","table":"Interface","where":[["name","==","br77"]]}]`)
		}
	})
	b.Run("scan", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			o.transact(`["Open_vSwitch",{"op":"select","table":"Interface","where":[["ofport","==",77]]}]`)
		}
	})
}
