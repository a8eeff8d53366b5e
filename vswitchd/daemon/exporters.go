package daemon

import (
	"slices"
	"strconv"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"govs/datapath/action"
	"govs/datapath/engine"
	"govs/datapath/flow"
	"govs/datapath/port"
	"govs/vswitchd/desired"
	"govs/vswitchd/export/ipfix"
	"govs/vswitchd/export/netflow"
	"govs/vswitchd/export/sflow"
	"govs/vswitchd/ofproto"
	"govs/vswitchd/xlate"
)

// exporters are the bridges' flow exporters. They outlive changes of the
// configuration, so that no flow is told of twice.
type exporters struct {
	s       *Switch
	netflow map[string]*netflow.Exporter // by bridge
	sflow   map[string]*sampled          // by bridge
	ipfix   map[string]*ipfix.Exporter   // by bridge
	sets    map[setID]*ipfix.FlowExporter
	taker   *taker
}

// setID is a set of collectors for the samples of single flows.
type setID struct {
	bridge string
	id     uint32
}

// A taker passes the samples of single flows to the exporter that they name,
// of the bridge that the packet came into.
type taker struct {
	table atomic.Pointer[map[takerKey]*ipfix.FlowExporter]
}

type takerKey struct {
	in flow.PortNo
	id uint32
}

// Sampled implements action.Handler.
func (k *taker) Sampled(t *action.Taken) {
	if s, ok := t.Cookie.(action.FlowSample); ok {
		if x := (*k.table.Load())[takerKey{t.In, s.Set}]; x != nil {
			x.Sampled(t)
		}
	}
}

// bind gives the samples among actions to their exporters.
func (e exporters) bind(list []action.Action) {
	for i, a := range list {
		switch a := a.(type) {
		case action.Show:
			if _, ok := a.Cookie.(action.FlowSample); ok {
				a.To = e.taker
				list[i] = a
			}
		case action.Clone:
			e.bind(a.Actions)
		case action.Sample:
			e.bind(a.Actions)
		}
	}
}

// collect has an exporter for each set of collectors, and none besides.
func (e exporters) collect() {
	table := make(map[takerKey]*ipfix.FlowExporter)
	wanted := make(map[setID]bool)
	for name, b := range e.s.applier.Switch.Bridges {
		for _, f := range b.Want.Samples {
			at := setID{name, f.ID}
			wanted[at] = true
			x := e.sets[at]
			if x == nil {
				x = ipfix.NewFlows(e.s.o.Clock, e.s.o.Log("collectors"))
				e.sets[at] = x
			}
			// Bad targets are logged by the exporter, which works with the others.
			_ = x.Configure(ipfixOptions(f.IPFIX, b))
			for _, i := range b.Sorted() {
				if i.No != 0 && i.Open() {
					table[takerKey{i.No, f.ID}] = x
				}
			}
		}
	}
	e.taker.table.Store(&table)
	for at, x := range e.sets {
		if !wanted[at] {
			delete(e.sets, at)
			_ = x.Close()
		}
	}
}

// sampled is a bridge's sFlow agent with its number among those of the switch.
type sampled struct {
	*sflow.Exporter
	id uint32
}

func newExporters(s *Switch) exporters {
	k := new(taker)
	k.table.Store(new(map[takerKey]*ipfix.FlowExporter))
	return exporters{
		s: s, taker: k, sets: make(map[setID]*ipfix.FlowExporter), netflow: make(map[string]*netflow.Exporter),
		sflow: make(map[string]*sampled), ipfix: make(map[string]*ipfix.Exporter),
	}
}

// sample is the exporter of the bridge as it is configured, nil for none.
func (e exporters) sample(b *ofproto.Bridge) xlate.Sample {
	want := b.Want.NetFlow
	if want == nil {
		return nil
	}
	// Bad targets are logged by the exporter, which works with the others.
	if x := e.netflow[b.Want.Name]; x != nil {
		_ = x.Configure(netflowOptions(want))
		return x
	}
	x, err := netflow.New(netflowOptions(want), e.s.o.Clock, e.s.o.Log("collectors"))
	if x == nil {
		e.s.log.Warn("bridge " + b.Want.Name + ": " + err.Error())
		return nil
	}
	e.netflow[b.Want.Name] = x
	return x
}

// sampled are the samplers of the bridge as they are configured, nil for none.
func (e exporters) sampled(b *ofproto.Bridge) (*xlate.SFlow, *xlate.IPFIX) {
	return e.sflowOf(b), e.ipfixOf(b)
}

func (e exporters) sflowOf(b *ofproto.Bridge) *xlate.SFlow {
	want := b.Want.SFlow
	if want == nil {
		return nil
	}
	x := e.sflow[b.Want.Name]
	if x == nil {
		x = &sampled{Exporter: sflow.New(e.s.o.Clock, e.s.o.Log("sflow"), e.s.o.Log("collectors")), id: e.freeID()}
		e.sflow[b.Want.Name] = x
	}
	// Bad targets are logged by the exporter, which works with the others.
	_ = x.Configure(sflow.Options{
		Targets: want.Targets,
		Agent:   want.Agent,
		Settings: sflow.Settings{
			Rate: want.Sampling, Header: want.Header, Polling: want.Polling, SubID: x.id,
			Ports: sflowPorts(e.s.engine, b), Datapath: datapathUse(e.s.engine),
		},
	})
	if want.Sampling == 0 || !x.Works() {
		return nil
	}
	return &xlate.SFlow{Probability: action.Share(want.Sampling), To: x.Exporter}
}

func (e exporters) ipfixOf(b *ofproto.Bridge) *xlate.IPFIX {
	want := b.Want.IPFIX
	if want == nil {
		return nil
	}
	x := e.ipfix[b.Want.Name]
	if x == nil {
		x = ipfix.New(e.s.o.Clock, e.s.o.Log("collectors"))
		e.ipfix[b.Want.Name] = x
	}
	// Bad targets are logged by the exporter, which works with the others.
	_ = x.Configure(ipfixOptions(want, b))
	if len(want.Targets) == 0 || !want.Input && !want.Output {
		return nil
	}
	return &xlate.IPFIX{Probability: action.Share(want.Sampling), Input: want.Input, Output: want.Output, To: x}
}

func ipfixOptions(want *desired.IPFIX, b *ofproto.Bridge) ipfix.Options {
	return ipfix.Options{
		Targets: want.Targets,
		Settings: ipfix.Settings{
			Domain: want.Domain, Point: want.Point, Virtual: want.Virtual, Tunnels: want.Tunnels,
			Active: want.CacheActive, MaxFlows: want.CacheMax, Templates: want.TemplateInterval, Stats: want.StatsInterval, Ports: ipfixPorts(b),
		},
	}
}

// ipfixPorts are the bridge's interfaces.
func ipfixPorts(b *ofproto.Bridge) (list []ipfix.Port) {
	for _, i := range b.Sorted() {
		if i.No == 0 || i.Port == nil || !i.Open() {
			continue
		}
		p := ipfix.Port{No: i.No, Name: i.Want.Name, Ifindex: uint32(i.Port.State().Ifindex)}
		if p.Ifindex != 0 && i.Want.Kind != desired.DummyNIC {
			p.Type = 6 // ethernetCsmacd
		}
		list = append(list, p)
	}
	return list
}

// freeID is the lowest number that no agent has.
func (e exporters) freeID() (id uint32) {
	var taken []uint32
	for _, x := range e.sflow {
		taken = append(taken, x.id)
	}
	for slices.Contains(taken, id) {
		id++
	}
	return id
}

// sflowPorts are the bridge's interfaces in the order of their OpenFlow numbers.
func sflowPorts(eng *engine.Engine, b *ofproto.Bridge) (list []sflow.Port) {
	id, _ := strconv.ParseUint(b.DatapathID, 16, 64)
	for _, i := range b.Sorted() {
		if i.No == 0 || i.Port == nil || !i.Open() {
			continue
		}
		list = append(list, sflow.Port{
			No: i.No, Name: i.Want.Name, OFPort: uint32(i.OFPort), DatapathID: id,
			Ifindex: uint32(i.Port.State().Ifindex), Read: reader(eng, i.No, i.Port),
		})
	}
	slices.SortFunc(list, func(a, b sflow.Port) int { return int(a.OFPort) - int(b.OFPort) })
	return list
}

// reader reads a port's state and counters.
func reader(eng *engine.Engine, no flow.PortNo, p port.Port) func() (port.State, port.Stats) {
	return func() (port.State, port.Stats) {
		n, _ := eng.PortStats(no)
		return p.State(), n
	}
}

// datapathUse reads what the engine and the process have done.
func datapathUse(eng *engine.Engine) func() sflow.Datapath {
	return func() sflow.Datapath {
		s := eng.Status()
		d := sflow.Datapath{
			Hits: uint32(s.Front + s.Cached + s.Matched), Misses: uint32(s.Missed), Lost: uint32(s.Lost), Flows: uint32(s.Flows),
		}
		var use unix.Rusage
		if unix.Getrusage(unix.RUSAGE_SELF, &use) == nil {
			d.UserMillis, d.KernelMillis = uint32(use.Utime.Nano()/1e6), uint32(use.Stime.Nano()/1e6)
			d.MemoryUsed = uint64(use.Maxrss) << 10
		}
		return d
	}
}

// prune ends the exporters that no bridge has any more. It comes after the
// translator has forgotten them.
func (e exporters) prune() {
	e.collect()
	for name, x := range e.netflow {
		if b := e.s.applier.Switch.Bridges[name]; b == nil || b.Want.NetFlow == nil {
			delete(e.netflow, name)
			e.s.engine.Revalidate() // what was not credited yet still counts
			_ = x.Close()
		}
	}
	for name, x := range e.sflow {
		if b := e.s.applier.Switch.Bridges[name]; b == nil || b.Want.SFlow == nil {
			delete(e.sflow, name)
			_ = x.Close()
		}
	}
	for name, x := range e.ipfix {
		if b := e.s.applier.Switch.Bridges[name]; b == nil || b.Want.IPFIX == nil {
			delete(e.ipfix, name)
			_ = x.Close()
		}
	}
}

func (e exporters) close() {
	for at, x := range e.sets {
		delete(e.sets, at)
		_ = x.Close()
	}
	for name, x := range e.netflow {
		delete(e.netflow, name)
		_ = x.Close()
	}
	for name, x := range e.sflow {
		delete(e.sflow, name)
		_ = x.Close()
	}
	for name, x := range e.ipfix {
		delete(e.ipfix, name)
		_ = x.Close()
	}
}

func netflowOptions(n *desired.NetFlow) netflow.Options {
	active := n.ActiveTimeout
	if active == 0 {
		active = -1 // none
	}
	return netflow.Options{
		Targets: n.Targets,
		Settings: netflow.Settings{
			Version:          n.Version,
			EngineType:       n.EngineType,
			EngineID:         n.EngineID,
			AddIDToInterface: n.AddID,
			Active:           active,
		},
	}
}
