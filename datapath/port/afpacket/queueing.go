package afpacket

import (
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"govs/datapath/port"
	"govs/datapath/port/rtnl"
	"govs/datapath/shape"
)

var _ port.Queueing = (*Port)(nil)

// queueing is what the port has to do with the device's queueing discipline.
type queueing struct {
	pass     atomic.Bool                  // packets go through it
	conf     atomic.Pointer[shape.Config] // of ours
	priority uint32                       // of what is sent; under the owner's lock around Send
}

// Pass implements port.Queueing.
func (p *Port) Pass(on bool) error {
	bypass := 1
	if on {
		bypass = 0
	}
	var err error
	cerr := p.conn.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, bypass)
	})
	if cerr != nil {
		return p.over()
	}
	if err != nil {
		return fmt.Errorf("PACKET_QDISC_BYPASS: %w", err)
	}
	p.queueing.pass.Store(on)
	return nil
}

// Shape implements port.Queueing.
func (p *Port) Shape(c *shape.Config) error {
	if p.Gone() || p.closed.Load() {
		return p.over()
	}
	old := p.queueing.conf.Load()
	if c == nil && old == nil {
		return p.Pass(false)
	}
	if err := p.Queue(c, old); err != nil {
		if old != nil {
			_ = p.Unqueue()
			p.queueing.conf.Store(nil)
			_ = p.Pass(false)
		}
		return err
	}
	p.queueing.conf.Store(c)
	return p.Pass(c != nil)
}

// Shaped implements port.Queueing.
func (p *Port) Shaped() []shape.Stats {
	c := p.queueing.conf.Load()
	if c == nil {
		return nil
	}
	return p.QueueStats(c)
}

// Select implements port.Queueing.
func (p *Port) Select(queue uint32) {
	class := rtnl.Class(queue)
	if class == p.queueing.priority {
		return
	}
	_ = p.conn.Control(func(fd uintptr) {
		if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PRIORITY, int(class)) == nil {
			p.queueing.priority = class
		}
	})
}

// Across is false where packets are to go through the device's queueing
// discipline: to put them at the other end at once would pass it by.
func (p *Port) Across() bool { return !p.queueing.pass.Load() && p.Device.Across() }
