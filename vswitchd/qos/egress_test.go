package qos

import (
	"slices"
	"strings"
	"testing"
	"time"

	"govs/datapath/shape"
)

const mbit = 1000 * 1000

func options(words ...string) map[string]string {
	m := make(map[string]string)
	for _, w := range words {
		k, v, _ := strings.Cut(w, "=")
		m[k] = v
	}
	return m
}

// TestShowHTB is what Open vSwitch 3.1.0 prints for the same rows, on a veth in
// a kernel with the qdisc htb.
func TestShowHTB(t *testing.T) {
	for _, test := range []struct {
		e    Egress
		want string
	}{
		{
			Egress{Type: "linux-htb"}, `QoS: v1 linux-htb
max-rate: 10000000000

Default:
  burst: 12512
  min-rate: 12000
  max-rate: 10000000000
  tx_packets: 0
  tx_bytes: 0
  tx_errors: 0
`},
		{
			Egress{Type: "linux-htb", Options: options("max-rate=50000000"), Queues: []EgressQueue{
				{ID: 0, DSCP: -1, Options: options("max-rate=10000000")},
				{ID: 1, DSCP: -1, Options: options("max-rate=40000000", "min-rate=5000000", "burst=300000", "priority=3")},
			}}, `QoS: v1 linux-htb
max-rate: 50000000

Default:
  burst: 12512
  min-rate: 12000
  max-rate: 10000000
  tx_packets: 7
  tx_bytes: 700
  tx_errors: 1

Queue 1:
  burst: 300000
  priority: 3
  min-rate: 5000000
  max-rate: 40000000
  tx_packets: 0
  tx_bytes: 0
  tx_errors: 0
`},
		{ // no more than the port's rate, and no less than what is guaranteed
			Egress{Type: "linux-htb", Options: options("max-rate=50000000"), Queues: []EgressQueue{
				{ID: 0, DSCP: -1, Options: options("max-rate=80000000", "burst=10")},
				{ID: 1, DSCP: -1, Options: options("max-rate=10000000", "min-rate=20000000")},
				{ID: 5, DSCP: -1, Options: options("min-rate=70000000")},
			}}, `QoS: v1 linux-htb
max-rate: 50000000

Default:
  burst: 12512
  min-rate: 12000
  max-rate: 50000000
  tx_packets: 0
  tx_bytes: 0
  tx_errors: 0

Queue 1:
  burst: 12512
  min-rate: 20000000
  tx_packets: 0
  tx_bytes: 0
  tx_errors: 0

Queue 5:
  burst: 12512
  min-rate: 50000000
  tx_packets: 0
  tx_bytes: 0
  tx_errors: 0
`},
	} {
		c := test.e.Shape(0, 1500)
		var stats []shape.Stats
		if strings.Contains(test.want, "tx_packets: 7") {
			stats = []shape.Stats{{Packets: 7, Bytes: 700, Dropped: 1}}
		}
		if got := test.e.Show("v1", &c, stats); got != test.want {
			t.Errorf("got\n%s\nwant\n%s", got, test.want)
		}
	}
}

// TestShow has the other types: a line for each value.
func TestShow(t *testing.T) {
	for _, test := range []struct {
		e    Egress
		want []string // sorted
	}{
		{Egress{Type: "linux-hfsc", Options: options("max-rate=9000000"), Queues: []EgressQueue{{ID: 1, Options: options("min-rate=1000000", "max-rate=2000000")}}},
			[]string{"", "", "  max-rate: 2000000", "  max-rate: 9000000", "  min-rate: 1000000", "  min-rate: 12000", "  tx_bytes: 0", "  tx_bytes: 0",
				"  tx_errors: 0", "  tx_errors: 0", "  tx_packets: 0", "  tx_packets: 0", "Default:", "QoS: x linux-hfsc", "Queue 1:", "max-rate: 9000000"}},
		{Egress{Type: "linux-sfq"}, []string{"QoS: x linux-sfq", "perturb: 10", "quantum: 1500"}},
		{Egress{Type: "linux-codel"}, []string{"QoS: x linux-codel", "interval: 100000", "limit: 10240", "target: 5000"}},
		{Egress{Type: "linux-fq_codel", Options: options("flows=7")},
			[]string{"QoS: x linux-fq_codel", "flows: 7", "interval: 100000", "limit: 10240", "quantum: 1514", "target: 5000"}},
		{Egress{Type: "linux-netem", Options: options("latency=3000", "loss=29")}, []string{"QoS: x linux-netem", "latency: 3000", "limit: 1000", "loss: 29"}},
		{Egress{Type: "egress-policer", Options: options("cir=46000000", "cbs=2048")}, []string{"QoS: x egress-policer", "cbs: 2048", "cir: 46000000"}},
	} {
		c := test.e.Shape(0, 0)
		got := strings.Split(strings.TrimSuffix(test.e.Show("x", &c, nil), "\n"), "\n")
		if slices.Sort(got); !slices.Equal(got, test.want) {
			t.Errorf("%s: got %q, want %q", &test.e, got, test.want)
		}
	}
}

func TestShape(t *testing.T) {
	e := Egress{Type: "linux-htb", Queues: []EgressQueue{{ID: 4, DSCP: 10}}}
	c := e.Shape(100*mbit, 9000)
	if c.Rate != 100*mbit || c.MTU != 9014 || len(c.Queues) != 2 || c.Queues[0].ID != 0 || c.Queues[0].DSCP != -1 ||
		c.Queues[1] != (shape.Queue{ID: 4, DSCP: 10, Min: 72000, Max: 100 * mbit, Burst: 9064}) {
		t.Errorf("%+v", c)
	}
	e = Egress{Type: "linux-netem", Options: options("latency=99999999999999", "jitter=5", "loss=200", "limit=99999999999")}
	c = e.Shape(0, 0)
	if c.Latency != time.Hour || c.Jitter != 5*time.Microsecond || c.Loss != 1 || c.Limit != 1<<20 {
		t.Errorf("%+v", c)
	}
	e = Egress{Type: "egress-policer", Options: options("cir=1000", "cbs=2000")}
	if c = e.Shape(0, 0); c.Rate != 8000 || c.Burst != 2000 || c.Header != 14 {
		t.Errorf("%+v", c)
	}
}

func TestCheck(t *testing.T) {
	for _, test := range []struct {
		e        Egress
		problems []string
		ok       bool
		text     string
	}{
		{Egress{Type: "linux-htb", Options: options("max-rate=1", "color=blue"), Queues: []EgressQueue{{ID: 3, DSCP: 9, Options: options("burst=5")}}},
			nil, true, "linux-htb max-rate 1 queue 3 dscp 9 burst 5"},
		{Egress{Type: "linux-htb", Options: options("max-rate=fast"), Queues: []EgressQueue{{ID: 1, DSCP: -1, Options: options("priority=1x")}, {ID: 61440}}},
			[]string{`QoS other_config:max-rate: "fast" is not a number; the default it is`, `queue 1 other_config:priority: "1x" is not a number; the default it is`,
				"queue 61440: linux-htb has queues up to 61439"}, true, "linux-htb max-rate fast queue 1 priority 1x"},
		{Egress{Type: "linux-sfq", Queues: []EgressQueue{{ID: 1}}}, nil, true, "linux-sfq"},
		{Egress{Type: "linux-noop"}, nil, true, "linux-noop"},
		{Egress{Type: "magic"}, []string{`QoS type "magic" not supported`}, false, "magic"},
	} {
		problems, ok := test.e.Check()
		if !slices.Equal(problems, test.problems) || ok != test.ok || test.e.String() != test.text {
			t.Errorf("%q, %v, %s", problems, ok, &test.e)
		}
		if test.e.Off() != (test.e.Type == Noop) {
			t.Errorf("%s: off %v", &test.e, test.e.Off())
		}
	}
	if e := (*Egress)(nil); !e.Off() || e.String() != "none" {
		t.Error("none")
	}
}
