package qos

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"govs/datapath/shape"
	"govs/internal/chash"
)

// An Egress is a QoS row with its queues, as a port asks for it
// (ovs-vswitchd.conf.db(5), tables QoS and Queue).
type Egress struct {
	Type    string
	Options map[string]string // other_config
	Queues  []EgressQueue     // by ID
}

// An EgressQueue is a Queue row.
type EgressQueue struct {
	ID      uint32
	DSCP    int // -1 is none
	Options map[string]string
}

// MaxQueue is the highest queue number of linux-htb and linux-hfsc.
const MaxQueue = 61439

// A discipline is a type of QoS.
type discipline struct {
	name   string
	kind   shape.Kind
	queues bool // it has classes, one for each queue
	keys   []string
}

// disciplines are in the order in which C lists those that it has, too.
var disciplines = []discipline{
	{name: "linux-netem", kind: shape.Netem, keys: []string{"latency", "limit", "loss", "jitter"}},
	{name: "linux-fq_codel", kind: shape.FQCoDel, keys: []string{"target", "limit", "interval", "flows", "quantum"}},
	{name: "linux-codel", kind: shape.CoDel, keys: []string{"target", "limit", "interval"}},
	{name: "linux-hfsc", kind: shape.HTB, queues: true, keys: []string{"max-rate"}},
	{name: Noop, kind: shape.External},
	{name: "linux-sfq", kind: shape.SFQ, keys: []string{"perturb", "quantum"}},
	{name: "linux-htb", kind: shape.HTB, queues: true, keys: []string{"max-rate"}},
	{name: "egress-policer", kind: shape.Policer, keys: []string{"cir", "cbs"}},
}

// Noop is the type that leaves a port to somebody else.
const Noop = "linux-noop"

// Types are the types of QoS that there are.
func Types() (names []string) {
	for _, d := range disciplines {
		names = append(names, d.name)
	}
	return names
}

func find(name string) *discipline {
	for i := range disciplines {
		if disciplines[i].name == name {
			return &disciplines[i]
		}
	}
	return nil
}

var queueKeys = []string{"min-rate", "max-rate", "burst", "priority"}

// Check drops what cannot be and says why. ok is false where nothing is left:
// the type is not one of Types.
func (e *Egress) Check() (problems []string, ok bool) {
	d := find(e.Type)
	if d == nil {
		return []string{fmt.Sprintf("QoS type %q not supported", e.Type)}, false
	}
	check := func(what string, options map[string]string, keys []string) {
		for _, key := range keys {
			if text, there := options[key]; there {
				if _, ok := number(text); !ok {
					problems = append(problems, fmt.Sprintf("%s other_config:%s: %q is not a number; the default it is", what, key, text))
				}
			}
		}
	}
	check("QoS", e.Options, d.keys)
	if !d.queues {
		e.Queues = nil
		return problems, true
	}
	kept := e.Queues[:0:0]
	for _, q := range e.Queues {
		if q.ID > MaxQueue {
			problems = append(problems, fmt.Sprintf("queue %d: %s has queues up to %d", q.ID, e.Type, MaxQueue))
			continue
		}
		check(fmt.Sprintf("queue %d", q.ID), q.Options, queueKeys)
		kept = append(kept, q)
	}
	e.Queues = kept
	return problems, true
}

// Off says whether the switch does nothing to packets.
func (e *Egress) Off() bool { return e == nil || e.Type == Noop }

// String is the configuration in a few words.
func (e *Egress) String() string {
	if e == nil {
		return "none"
	}
	words := []string{e.Type}
	add := func(options map[string]string, keys []string) {
		for _, key := range keys {
			if v, ok := options[key]; ok {
				words = append(words, key+" "+v)
			}
		}
	}
	if d := find(e.Type); d != nil {
		add(e.Options, d.keys)
	}
	for _, q := range e.Queues {
		words = append(words, fmt.Sprintf("queue %d", q.ID))
		if q.DSCP >= 0 {
			words = append(words, fmt.Sprintf("dscp %d", q.DSCP))
		}
		add(q.Options, queueKeys)
	}
	return strings.Join(words, " ")
}

// Defaults.
const (
	defaultRate    = 10_000_000_000 // where a link's speed is not known
	ethernetHeader = 14
	sfqPerturb     = 10 * time.Second
	codelLimit     = 10240
)

// number reads a number as C does: there may be space in front, and what is
// negative is very much.
func number(text string) (uint64, bool) {
	text = strings.TrimLeft(text, " \t\n\v\f\r")
	digits, negative := strings.CutPrefix(text, "-")
	if !negative {
		digits = strings.TrimPrefix(text, "+")
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if negative {
		n = -n
	}
	return n, err == nil
}

// option is a number, or the default.
func option(options map[string]string, key string, otherwise uint64) uint64 {
	if text, there := options[key]; there {
		if n, ok := number(text); ok {
			return n
		}
	}
	return otherwise
}

// whole is a rate in whole bytes a second, as C has them.
func whole(bits uint64) uint64 { return bits / 8 * 8 }

// Shape is what the engine's scheduler does, on a link of that speed in bits a
// second, 0 where it is not known, and that MTU in bytes, 0 for 1500. Rates
// and bursts have the bounds that C gives them.
func (e *Egress) Shape(speed uint64, mtu int) shape.Config {
	if mtu <= 0 {
		mtu = 1500
	}
	d := find(e.Type)
	c := shape.Config{Kind: d.kind, MTU: mtu + ethernetHeader}
	micro := func(key string) time.Duration {
		return time.Duration(min(option(e.Options, key, 0), uint64(time.Hour/time.Microsecond))) * time.Microsecond
	}
	count := func(key string, otherwise int) int {
		return int(min(option(e.Options, key, uint64(otherwise)), 1<<20))
	}
	switch d.kind {
	case shape.HTB:
		c.Rate = cmp.Or(whole(option(e.Options, "max-rate", 0)), whole(speed), defaultRate)
		queues := e.Queues
		if len(queues) == 0 || queues[0].ID != 0 {
			queues = slices.Insert(slices.Clone(queues), 0, EgressQueue{DSCP: -1})
		}
		for _, q := range queues {
			c.Queues = append(c.Queues, e.queue(&q, c.Rate, mtu))
		}
	case shape.Policer:
		c.Rate = option(e.Options, "cir", 0) * 8
		c.Burst = count("cbs", 0)
		c.Header = ethernetHeader
	case shape.SFQ:
		c.Perturb = time.Duration(count("perturb", int(sfqPerturb/time.Second))) * time.Second
		c.Quantum = count("quantum", mtu)
	case shape.CoDel, shape.FQCoDel:
		c.Limit = count("limit", codelLimit)
		c.Target, c.Interval = cmp.Or(micro("target"), shape.CoDelTarget), cmp.Or(micro("interval"), shape.CoDelInterval)
		c.Flows, c.Quantum = count("flows", shape.FQCoDelFlows), count("quantum", c.MTU)
	case shape.Netem:
		c.Latency, c.Jitter = micro("latency"), micro("jitter")
		c.Limit = count("limit", shape.NetemLimit)
		c.Loss = float64(min(option(e.Options, "loss", 0), 100)) / 100
	}
	return c
}

// queue bounds a queue's rates and burst: no less is guaranteed than a frame a
// second, a burst is no smaller than a frame, and nothing is more than the
// port's rate.
func (e *Egress) queue(q *EgressQueue, rate uint64, mtu int) shape.Queue {
	least := uint64(mtu) * 8
	low := min(max(whole(option(q.Options, "min-rate", 0)), least), rate)
	high := whole(cmp.Or(option(q.Options, "max-rate", 0), rate))
	out := shape.Queue{ID: q.ID, DSCP: int8(q.DSCP), Min: low, Max: min(max(high, low), rate)}
	if e.Type != "linux-hfsc" {
		const slack = 64
		out.Burst = int(min(max(option(q.Options, "burst", 0)/8, uint64(mtu+slack)), math.MaxUint32))
		out.Priority = uint32(option(q.Options, "priority", 0))
	}
	return out
}

// Show is what qos/show prints of an interface: c is what Shape gave, and
// stats are its queues' counters.
func (e *Egress) Show(name string, c *shape.Config, stats []shape.Stats) string {
	var b strings.Builder
	fmt.Fprintf(&b, "QoS: %s %s\n", name, e.Type)
	d := find(e.Type)
	var values pairs
	for _, key := range d.keys {
		switch key {
		case "max-rate":
			values.add(key, c.Rate)
		case "cir":
			values.add(key, c.Rate/8)
		case "cbs":
			values.add(key, uint64(c.Burst))
		case "latency":
			values.add(key, uint64(c.Latency.Microseconds()))
		case "jitter":
			if c.Jitter > 0 { // which C does not know
				values.add(key, uint64(c.Jitter.Microseconds()))
			}
		case "loss":
			values.add(key, uint64(c.Loss*100+0.5))
		case "limit":
			values.add(key, uint64(c.Limit))
		case "target":
			values.add(key, uint64(c.Target.Microseconds()))
		case "interval":
			values.add(key, uint64(c.Interval.Microseconds()))
		case "flows":
			values.add(key, uint64(c.Flows))
		case "quantum":
			values.add(key, uint64(c.Quantum))
		case "perturb":
			values.add(key, uint64(c.Perturb/time.Second))
		}
	}
	values.print(&b, "")
	if !d.queues {
		return b.String()
	}
	for i := range c.Queues {
		q := &c.Queues[i]
		b.WriteString("\n")
		if q.ID == 0 {
			b.WriteString("Default:\n")
		} else {
			fmt.Fprintf(&b, "Queue %d:\n", q.ID)
		}
		var values pairs
		values.add("min-rate", q.Min)
		if q.Max != q.Min {
			values.add("max-rate", q.Max)
		}
		if e.Type != "linux-hfsc" {
			values.add("burst", uint64(q.Burst)*8)
			if q.Priority != 0 {
				values.add("priority", uint64(q.Priority))
			}
		}
		values.print(&b, "  ")
		var s shape.Stats
		if i < len(stats) {
			s = stats[i]
		}
		fmt.Fprintf(&b, "  tx_packets: %d\n  tx_bytes: %d\n  tx_errors: %d\n", s.Packets, s.Bytes, s.Dropped)
	}
	return b.String()
}

// pairs are keys with values, which are printed in the order of C's hash
// tables.
type pairs struct {
	keys   []string
	values map[string]uint64
}

func (p *pairs) add(key string, v uint64) {
	if p.values == nil {
		p.values = make(map[string]uint64)
	}
	p.keys, p.values[key] = append(p.keys, key), v
}

func (p *pairs) print(b *strings.Builder, indent string) {
	table := chash.Names()
	for _, key := range p.keys {
		table.Add(key)
	}
	for key := range table.All() {
		fmt.Fprintf(b, "%s%s: %d\n", indent, key, p.values[key])
	}
}
