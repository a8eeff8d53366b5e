package netflow

import (
	"log/slog"
	"net"
	"sync"
	"time"

	"govs/internal/clock"
	"govs/vswitchd/export/collector"
)

// Options are the columns of a NetFlow row.
type Options struct {
	Targets []string // "192.0.2.1:5566", "[2001:db8::1]:5566": numeric
	Settings
}

// An Exporter counts the flows of a bridge and tells collectors of them. It is
// safe for concurrent use.
type Exporter struct {
	cache *Cache
	clock clock.Clock
	to    *collector.Set
	loop  *collector.Loop

	mu sync.Mutex // keeps datagrams in order
}

// New starts an exporter. Bad targets are logged, reported in the error, and
// left out; the exporter works with the others. The clock is the engine's; nil
// is clock.Real, and a nil log discards.
func New(o Options, c clock.Clock, log *slog.Logger) (*Exporter, error) {
	if c == nil {
		c = clock.Real()
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	e := &Exporter{cache: NewCache(o.Settings, c.Now()), clock: c, to: collector.New("NetFlow", 0, log)}
	err := e.to.Open(o.Targets)
	e.loop = collector.NewLoop(c, 500*time.Millisecond, func() { e.send((*Cache).Run) }, nil)
	return e, err
}

// Configure changes targets and settings. Where the targets change, the old
// ones are told of everything first. Errors are as those of New, and
// net.ErrClosed after Close.
func (e *Exporter) Configure(o Options) error {
	if e.loop.Closed() {
		return net.ErrClosed
	}
	var err error
	if !e.to.Has(o.Targets) {
		e.Flush()
		err = e.to.Open(o.Targets)
		e.cache.Restart()
	}
	e.cache.Configure(o.Settings, e.clock.Now())
	return err
}

// send passes what the cache gives to all collectors.
func (e *Exporter) send(take func(*Cache, time.Time) [][]byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.to.Send(take(e.cache, e.clock.Now()))
}

// Flush tells of all flows at once.
func (e *Exporter) Flush() { e.send((*Cache).Flush) }

// Close flushes and ends the exporter. What is credited afterwards is not
// told of. A second call does nothing.
func (e *Exporter) Close() error {
	if !e.loop.Close() {
		return nil
	}
	e.Flush()
	return e.to.Open(nil)
}
