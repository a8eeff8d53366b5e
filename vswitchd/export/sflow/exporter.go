package sflow

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"govs/datapath/action"
	"govs/internal/clock"
	"govs/vswitchd/export/collector"
)

// Options are the columns of an sFlow row, and the bridge's ports.
type Options struct {
	Targets []string // "192.0.2.1", "192.0.2.1:6343", "[2001:db8::1]:6343": numeric
	// Agent is an address, or the name of a device whose address it is; "" is
	// the address by which the first target is reached.
	Agent string
	Settings
}

// An Exporter samples a bridge. It is safe for concurrent use, and an
// action.Handler.
type Exporter struct {
	agent *Agent
	clock clock.Clock
	log   *slog.Logger
	to    *collector.Set
	loop  *collector.Loop

	mu      sync.Mutex // guards what is below, and keeps datagrams in order
	opened  bool       // an agent's address was looked for
	name    string     // Options.Agent
	address netip.Addr
}

// New starts an exporter, which does nothing before it is configured. The
// clock is the engine's; nil is clock.Real. collectors is told of targets that
// are bad, log of everything else; nil discards.
func New(c clock.Clock, log, collectors *slog.Logger) *Exporter {
	if c == nil {
		c = clock.Real()
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if collectors == nil {
		collectors = slog.New(slog.DiscardHandler)
	}
	e := &Exporter{agent: NewAgent(c.Now()), clock: c, log: log, to: collector.New("sFlow", DefaultPort, collectors)}
	e.loop = collector.NewLoop(c, time.Second, func() { e.send((*Agent).Run) }, func() { e.send((*Agent).Full) })
	return e
}

func (e *Exporter) send(take func(*Agent, time.Time) [][]byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.to.Send(take(e.agent, e.clock.Now()))
}

// Sampled implements action.Handler.
func (e *Exporter) Sampled(t *action.Taken) {
	if e.agent.Flow(t) {
		e.loop.Due()
	}
}

// Configure changes targets and settings. Bad targets are logged, reported in
// the error, and left out. Where the agent's address cannot be found nothing
// is told; it is looked for again at the next call.
func (e *Exporter) Configure(o Options) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.loop.Closed() {
		return net.ErrClosed
	}
	var err error
	changed := !e.opened || !e.to.Has(o.Targets)
	if changed {
		e.to.Send(e.agent.Run(e.clock.Now()))
		err = e.to.Open(o.Targets)
	}
	if changed || o.Agent != e.name || !e.address.IsValid() {
		before := e.address
		e.address = e.find(o.Agent)
		if !e.address.IsValid() && (before.IsValid() || o.Agent != e.name || !e.opened) {
			e.log.Error("could not determine IP address for sFlow agent")
		}
	}
	e.name, e.opened = o.Agent, true
	e.agent.Configure(o.Settings, e.address)
	return err
}

// Works says whether the exporter knows its own address, without which sFlow
// is off.
func (e *Exporter) Works() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.address.IsValid()
}

// find is the agent's address.
func (e *Exporter) find(agent string) netip.Addr {
	if agent == "" {
		return e.to.Local()
	}
	if a, err := netip.ParseAddr(agent); err == nil {
		return a.Unmap().WithZone("")
	}
	a, err := deviceAddress(agent)
	if err != nil {
		e.log.Debug(fmt.Sprintf("sFlow agent %s: %v", agent, err))
	}
	return a
}

// deviceAddress is the first address of a device, one of IPv4 if it has one.
func deviceAddress(name string) (found netip.Addr, err error) {
	dev, err := net.InterfaceByName(name)
	if err != nil {
		return found, err
	}
	list, err := dev.Addrs()
	for _, x := range list {
		if n, ok := x.(*net.IPNet); ok {
			if a, ok := netip.AddrFromSlice(n.IP); ok && (!found.IsValid() || !found.Unmap().Is4() && a.Unmap().Is4()) {
				found = a.Unmap()
			}
		}
	}
	return found, err
}

// Close sends what is there and ends the exporter. A second call does nothing.
func (e *Exporter) Close() error {
	if !e.loop.Close() {
		return nil
	}
	e.send((*Agent).Run)
	return e.to.Open(nil)
}
