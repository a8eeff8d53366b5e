package ipfix

import (
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"govs/datapath/action"
	"govs/internal/clock"
	"govs/vswitchd/export/collector"
)

// MaxDomains is how many observation domains the flows of one collector set
// may name; samples of others are lost.
const MaxDomains = 64

// A FlowExporter makes flow records of the packets that single flows sample
// (ovs-vswitchd.conf.db(5), Flow_Sample_Collector_Set table): their actions say
// which observation domain and point a record is of. It is safe for concurrent
// use, and an action.Handler.
type FlowExporter struct {
	clock clock.Clock
	to    *collector.Set
	loop  *collector.Loop
	lost  atomic.Uint64

	mu      sync.Mutex
	set     Settings
	domains map[uint32]*Cache

	sending sync.Mutex // keeps messages in order
}

// NewFlows starts an exporter; see New.
func NewFlows(c clock.Clock, log *slog.Logger) *FlowExporter {
	if c == nil {
		c = clock.Real()
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	e := &FlowExporter{clock: c, to: collector.New("IPFIX", DefaultPort, log), domains: make(map[uint32]*Cache)}
	run := func() { e.send((*Cache).Run) }
	e.loop = collector.NewLoop(c, time.Second, run, run)
	return e
}

func (e *FlowExporter) send(take func(*Cache, time.Time) [][]byte) {
	e.sending.Lock()
	defer e.sending.Unlock()
	for _, c := range e.caches() {
		e.to.Send(take(c, e.clock.Now()))
	}
}

// caches are those of all domains, in order.
func (e *FlowExporter) caches() (list []*Cache) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, d := range slices.Sorted(maps.Keys(e.domains)) {
		list = append(list, e.domains[d])
	}
	return list
}

// Sampled implements action.Handler.
func (e *FlowExporter) Sampled(t *action.Taken) {
	s, ok := t.Cookie.(action.FlowSample)
	if !ok {
		return
	}
	c := e.domain(s.Domain)
	if c == nil {
		e.lost.Add(1)
		return
	}
	if c.Packet(t) {
		e.loop.Due()
	}
}

// domain is the cache of a domain, nil where there are too many.
func (e *FlowExporter) domain(no uint32) *Cache {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.domains[no]
	if c == nil && len(e.domains) < MaxDomains {
		c = NewCache()
		// One of them speaks for the exporter.
		c.lost, c.process = &e.lost, 0
		if len(e.domains) == 0 {
			c.process = flowProcess
		}
		c.Configure(e.settings(no), e.clock.Now())
		e.domains[no] = c
	}
	return c
}

func (e *FlowExporter) settings(domain uint32) Settings {
	s := e.set
	s.Domain, s.Point = domain, 0 // each sample has its own point
	return s
}

// Configure changes targets and settings, of which Domain and Point do not
// count. Errors are as those of Exporter.Configure.
func (e *FlowExporter) Configure(o Options) error {
	if e.loop.Closed() {
		return net.ErrClosed
	}
	var err error
	changed := !e.to.Has(o.Targets)
	if changed {
		e.send((*Cache).Flush)
		err = e.to.Open(o.Targets)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.set = o.Settings
	for no, c := range e.domains {
		if changed {
			c.Restart()
		}
		c.Configure(e.settings(no), e.clock.Now())
	}
	return err
}

// Close tells of all flows and ends the exporter. A second call does nothing.
func (e *FlowExporter) Close() error {
	if !e.loop.Close() {
		return nil
	}
	e.send((*Cache).Flush)
	return e.to.Open(nil)
}
