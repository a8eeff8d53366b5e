package ipfix

import (
	"log/slog"
	"net"
	"sync"
	"time"

	"govs/datapath/action"
	"govs/internal/clock"
	"govs/vswitchd/export/collector"
)

// Options are the columns of an IPFIX row, and the bridge's ports.
type Options struct {
	Targets []string // "192.0.2.1", "192.0.2.1:4739", "[2001:db8::1]:4739": numeric
	Settings
}

// An Exporter makes flow records of a bridge's samples. It is safe for
// concurrent use, and an action.Handler.
type Exporter struct {
	cache *Cache
	clock clock.Clock
	to    *collector.Set

	loop *collector.Loop

	mu sync.Mutex // keeps messages in order
}

// New starts an exporter, which does nothing before it is configured. The
// clock is the engine's; nil is clock.Real, and a nil log discards.
func New(c clock.Clock, log *slog.Logger) *Exporter {
	if c == nil {
		c = clock.Real()
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	e := &Exporter{cache: NewCache(), clock: c, to: collector.New("IPFIX", DefaultPort, log)}
	run := func() { e.send((*Cache).Run) }
	e.loop = collector.NewLoop(c, time.Second, run, run)
	return e
}

func (e *Exporter) send(take func(*Cache, time.Time) [][]byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.to.Send(take(e.cache, e.clock.Now()))
}

// Sampled implements action.Handler.
func (e *Exporter) Sampled(t *action.Taken) {
	if e.cache.Packet(t) {
		e.loop.Due()
	}
}

// Len is the number of flows that are going on.
func (e *Exporter) Len() int { return e.cache.Len() }

// Configure changes targets and settings. Bad targets are logged, reported in
// the error, and left out. Where the targets change, the old ones are told of
// everything first.
func (e *Exporter) Configure(o Options) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.loop.Closed() {
		return net.ErrClosed
	}
	now := e.clock.Now()
	var err error
	if !e.to.Has(o.Targets) {
		e.to.Send(e.cache.Flush(now))
		err = e.to.Open(o.Targets)
		e.cache.Restart()
	}
	e.cache.Configure(o.Settings, now)
	return err
}

// Close tells of all flows and ends the exporter. A second call does nothing.
func (e *Exporter) Close() error {
	if !e.loop.Close() {
		return nil
	}
	e.send((*Cache).Flush)
	return e.to.Open(nil)
}
