package status

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"govs/datapath/port"
	"govs/datapath/port/dummy"
	"govs/vswitchd/cfm"
	"govs/vswitchd/desired"
	"govs/vswitchd/ofproto"
)

// ops is the transaction as text.
func ops(t *testing.T, w *Writer, rows Rows) string {
	t.Helper()
	var b strings.Builder
	for _, op := range w.Diff(rows) {
		text, err := json.Marshal(op)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(text)
		b.WriteByte('\n')
	}
	return b.String()
}

const (
	a = "00000000-0000-0000-0000-00000000000a"
	b = "00000000-0000-0000-0000-00000000000b"
)

func TestWriter(t *testing.T) {
	var w Writer
	rows := make(Rows)
	rows.Set("Interface", b, Row{"ofport": 1, "error": Empty{}})
	rows.Set("Bridge", a, Row{"datapath_id": "x"})
	rows.Set("Interface", b, Row{"status": map[string]string{"driver_name": "veth"}})
	want := `{"op":"update","table":"Bridge","row":{"datapath_id":"x"},"where":[["_uuid","==",["uuid","00000000-0000-0000-0000-00000000000a"]]]}
{"op":"update","table":"Interface","row":{"error":["set",[]],"ofport":1,"status":["map",[["driver_name","veth"]]]},"where":[["_uuid","==",["uuid","00000000-0000-0000-0000-00000000000b"]]]}
`
	if got := ops(t, &w, rows); got != want {
		t.Errorf("at first:\n%s", got)
	}
	w.Told(rows, nil)
	if got := ops(t, &w, rows); got != "" {
		t.Errorf("nothing has changed:\n%s", got)
	}
	rows.Set("Interface", b, Row{"error": "no such device"})
	if got := ops(t, &w, rows); got != `{"op":"update","table":"Interface","row":{"error":"no such device"},"where":[["_uuid","==",["uuid","00000000-0000-0000-0000-00000000000b"]]]}`+"\n" {
		t.Errorf("one column has changed:\n%s", got)
	}
	rows = make(Rows)
	rows.Mention(Ref{"Interface", b})
	w.Told(rows, nil)
	if w.Last(Ref{"Bridge", a}, "datapath_id") != nil || w.Last(Ref{"Interface", b}, "ofport") != 1 {
		t.Error("Told forgot the wrong row")
	}
	w.Forget()
	if w.Last(Ref{"Interface", b}, "ofport") != nil {
		t.Error("Forget did not")
	}
}

func TestIfaceRow(t *testing.T) {
	p, err := dummy.New("p1", dummy.Options{MAC: []byte{2, 0, 0, 0, 0, 1}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	open := &ofproto.Iface{Want: &desired.Interface{UUID: "u"}, OFPort: 3, Port: p}
	failed := &ofproto.Iface{Want: &desired.Interface{UUID: "u"}, Err: "could not open network device p1 (No such device)"}
	for _, test := range []struct {
		iface  *ofproto.Iface
		column string
		want   any
	}{
		{open, "ofport", 3}, {open, "error", Empty{}}, {open, "mtu", 1500},
		{open, "admin_state", "up"}, {open, "link_state", "up"},
		{open, "mac_in_use", "02:00:00:00:00:01"}, {open, "link_speed", Empty{}},
		{failed, "ofport", -1}, {failed, "error", failed.Err}, {failed, "mtu", Empty{}},
		{failed, "mac_in_use", Empty{}}, {failed, "admin_state", Empty{}},
	} {
		rows := make(Rows)
		rows.IfaceRow("u", See(test.iface))
		if got := rows[Ref{"Interface", "u"}][test.column]; got != test.want {
			t.Errorf("%s of %q: got %v, want %v", test.column, test.iface.Err, got, test.want)
		}
	}
	var w Writer
	seen := See(open)
	if w.Told(Rows{}, map[string]Iface{"u": seen}); !w.Saw("u", See(open)) || w.Saw("v", seen) {
		t.Error("an interface that is as it was told to be was not seen")
	}
	open.Way = "ebpf"
	if seen.Partner(false); w.Saw("u", seen) || w.Saw("u", See(open)) {
		t.Error("an interface that has changed was seen before")
	}
	rows := make(Rows)
	rows.IfaceRow("u", See(failed))
	if stats, ok := rows[Ref{"Interface", "u"}]["statistics"].(map[string]int); !ok || len(stats) != 0 {
		t.Error("the statistics of an interface that is not open stay")
	}
	rows = make(Rows)
	rows.IfaceStats(open, port.Stats{RxPackets: 1<<64 - 1, TxDropped: 2})
	stats := rows[Ref{"Interface", "u"}]["statistics"].(map[string]int)
	if stats["rx_packets"] != 1<<63-1 || stats["tx_dropped"] != 2 || len(stats) != 14+6 || stats["rx_q0_packets"] != 0 {
		t.Errorf("statistics: %v", stats)
	}
	rows.IfaceStats(open, port.Stats{RxPackets: 1, RxDropped: 3, Basic: true})
	stats = rows[Ref{"Interface", "u"}]["statistics"].(map[string]int)
	if len(stats) != 4+1+6 || stats["rx_dropped"] != 3 {
		t.Errorf("statistics of a port that counts little: %v", stats)
	}
}

func TestCFM(t *testing.T) {
	i := See(&ofproto.Iface{Want: &desired.Interface{UUID: "u"}, Err: "none"})
	told := func() Row {
		rows := make(Rows)
		rows.IfaceRow("u", i)
		return rows[Ref{"Interface", "u"}]
	}
	if _, ok := told()["cfm_fault"]; ok {
		t.Error("an interface without CFM mentions it")
	}
	before := i
	i.Managed(&cfm.Status{Faults: cfm.FaultRecv | cfm.FaultRDI, Flaps: 3, Health: 95, Extended: true, Down: true, Points: []uint64{9, 1<<64 - 5}})
	want := Row{
		"cfm_fault": true, "cfm_fault_status": []string{"recv", "rdi"}, "cfm_flap_count": 3, "cfm_health": 95,
		"cfm_remote_mpids": []int{9, -5}, "cfm_remote_opstate": "down",
	}
	for column, value := range want {
		if got := told()[column]; !reflect.DeepEqual(got, value) {
			t.Errorf("%s is %v, want %v", column, got, value)
		}
	}
	after := i
	after.Managed(&cfm.Status{Faults: cfm.FaultRecv, Flaps: 3, Health: -1})
	if i.equal(before) || i.equal(after) || !i.equal(i) {
		t.Error("a change is not seen")
	}
	i = after
	for _, column := range []string{"cfm_health", "cfm_remote_mpids", "cfm_remote_opstate"} {
		if got := told()[column]; got != (Empty{}) {
			t.Errorf("%s is %v, want none", column, got)
		}
	}
	rows := make(Rows)
	rows.Unmanaged("u")
	if row := rows[Ref{"Interface", "u"}]; len(row) != 6 || row["cfm_fault"] != (Empty{}) {
		t.Errorf("%v", row)
	}
}

func TestHost(t *testing.T) {
	kind, version := osRelease(strings.NewReader("NAME=\"X Y\"\nID=debian\nVERSION_ID=\"12\"\n"))
	if kind != "debian" || version != "12" {
		t.Errorf("os-release: %q %q", kind, version)
	}
	if got := memory(strings.NewReader("MemTotal: 100 kB\nMemFree: 40 kB\nBuffers: 5 kB\nCached: 20 kB\nSwapTotal: 8 kB\nSwapFree: 6 kB\n")); got != "100,60,25,8,2" {
		t.Errorf("memory: %s", got)
	}
}
