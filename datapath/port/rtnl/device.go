package rtnl

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"govs/datapath/port"
)

// A Device is what ports on network devices have in common: the device's
// state as port.State, kept up to date by a Monitor, and the kernel's
// counters. Ports embed it; it gives them State and what port.Notifier and
// port.Admin ask for.
type Device struct {
	name     string
	index    int
	offloads port.Offloads
	wake     func()
	unwatch  func()
	links    *Monitor
	own      bool
	base     Counters

	state atomic.Pointer[port.State]
	gone  atomic.Bool

	mu     sync.Mutex // changes of state, and what follows
	notify func(port.State)
	held   func() bool // of KeepWhile, may be nil
	away   bool        // held, but not in the monitor's namespace
}

// Follow looks the named device up and follows it. wake is called, on the
// monitor's goroutine or on that of Refresh, after the device is gone. A device
// that gets another name is gone too: to the switch it is another one. Where
// links is nil the Device gets a monitor of its own.
func Follow(name string, links *Monitor, log *slog.Logger, offloads port.Offloads, wake func()) (*Device, error) {
	d := &Device{name: name, offloads: offloads, wake: wake, links: links}
	if links == nil {
		m, err := New(log)
		if err != nil {
			return nil, err
		}
		d.links, d.own = m, true
	}
	l, err := d.links.ByName(name)
	if err == nil && l.Name != name { // found by an alternative name
		err = ErrNotFound
	}
	if err != nil {
		d.Release()
		return nil, err
	}
	d.index = l.Index
	d.base, _ = d.links.Counters(d.index)
	d.update(l)
	d.unwatch = d.links.Watch(d.index, d.changed)
	d.Refresh() // what happened before the watch stood
	return d, nil
}

// Release stops following. The device stays as it is.
func (d *Device) Release() {
	if d.unwatch != nil {
		d.unwatch()
	}
	if d.own {
		d.links.Close()
	}
}

// Name implements port.Port.
func (d *Device) Name() string { return d.name }

// State implements port.Port.
func (d *Device) State() port.State { return *d.state.Load() }

// Index is the device's ifindex, whether it still exists or not.
func (d *Device) Index() int { return d.index }

// Gone tells whether the device vanished.
func (d *Device) Gone() bool { return d.gone.Load() }

// Across asks the kernel whether the device is one end of a pair whose other
// end is in another namespace.
func (d *Device) Across() bool {
	l, err := d.links.ByIndex(d.index)
	return err == nil && l.Across
}

// Lost asks the kernel whether the device is gone, for a port whose system
// call failed before the monitor's message came. It does not call wake.
func (d *Device) Lost() bool {
	if d.gone.Load() {
		return true
	}
	l, err := d.links.ByIndex(d.index)
	if errors.Is(err, ErrNotFound) || err == nil && l.Name != d.name {
		return d.lose(err == nil)
	}
	return false
}

// KeepWhile says that a device which is not in the monitor's namespace any
// more is not gone for that, as long as held says so: it was moved to another
// one. Until it comes back it counts as up, so that packets are sent to it.
func (d *Device) KeepWhile(held func() bool) {
	d.mu.Lock()
	d.held = held
	d.mu.Unlock()
}

// lose makes the state that of a device that is gone, and tells. other says
// that its index belongs to a device of another name. It returns false where
// the device is only away.
func (d *Device) lose(other bool) bool {
	d.mu.Lock()
	if d.gone.Load() {
		d.mu.Unlock()
		return true
	}
	before := d.away
	d.away = (!other || before) && d.held != nil && d.held()
	lost, tell := !d.away, !d.away || !before
	d.gone.Store(lost)
	next := d.State()
	next.Admin, next.Link, next.Ifindex = d.away, d.away, 0
	d.state.Store(&next)
	fn := d.notify
	d.mu.Unlock()
	if tell && fn != nil {
		fn(next)
	}
	return lost
}

// update makes l the state and tells whether anything changed.
func (d *Device) update(l Link) bool {
	next := port.State{
		MAC:      l.MAC,
		MTU:      l.MTU,
		Admin:    l.Up,
		Link:     l.Carrier,
		Ifindex:  d.index,
		Offloads: d.offloads,
	}
	old := d.state.Load()
	if old != nil {
		next.Resets = old.Resets
		next.Driver, next.Version, next.Firmware = old.Driver, old.Version, old.Firmware
		next.Speed, next.Duplex = old.Speed, old.Duplex
		if bytes.Equal(old.MAC, next.MAC) && old.MTU == next.MTU && old.Admin == next.Admin && old.Link == next.Link && old.Ifindex == next.Ifindex {
			return false
		}
		if old.Link != next.Link {
			next.Resets++
		}
	}
	if old == nil || old.Link != next.Link {
		h := d.links.Hardware(l.Name)
		next.Driver, next.Version, next.Firmware = h.Driver, h.Version, h.Firmware
		next.Speed, next.Duplex = h.Speed, h.Duplex
	}
	d.state.Store(&next)
	return true
}

// changed is called by the monitor. Its message may have waited while Follow
// or Refresh found something newer: where it brings news, the kernel is asked.
func (d *Device) changed(l Link) {
	if l.Gone {
		if d.lose(false) {
			d.wake()
		}
		return
	}
	st := d.State()
	if l.Name != d.name || !bytes.Equal(st.MAC, l.MAC) || st.MTU != l.MTU || st.Admin != l.Up || st.Link != l.Carrier || st.Ifindex != d.index {
		d.Refresh()
	}
}

// Refresh asks the kernel for the state, for a caller that changed the device
// and does not wait for the monitor to hear of it.
func (d *Device) Refresh() {
	d.mu.Lock()
	l, err := d.links.ByIndex(d.index) // under the lock: the last answer is the newest
	if errors.Is(err, ErrNotFound) || err == nil && l.Name != d.name {
		d.mu.Unlock()
		if d.lose(err == nil) {
			d.wake()
		}
		return
	}
	d.away = d.away && err != nil
	tell := err == nil && !d.gone.Load() && d.update(l)
	fn := d.notify
	d.mu.Unlock()
	if tell && fn != nil {
		fn(d.State())
	}
}

// Notify implements port.Notifier.
func (d *Device) Notify(fn func(port.State)) {
	d.mu.Lock()
	d.notify = fn
	d.mu.Unlock()
}

// SetMAC implements port.Admin.
func (d *Device) SetMAC(mac net.HardwareAddr) error { return d.links.SetMAC(d.index, mac) }

// SetMTU implements port.Admin.
func (d *Device) SetMTU(mtu int) error { return d.links.SetMTU(d.index, mtu) }

// SetUp implements port.Admin.
func (d *Device) SetUp(up bool) error { return d.links.SetUp(d.index, up) }

// Counted is what the kernel counted on the device since Follow, as the host
// sees it. ok is false where the kernel does not tell, or not any more.
func (d *Device) Counted() (c Counters, ok bool) {
	if d.gone.Load() {
		return c, false
	}
	c, err := d.links.Counters(d.index)
	if err != nil {
		return c, false
	}
	b := &d.base
	return Counters{
		RxPackets:      c.RxPackets - b.RxPackets,
		TxPackets:      c.TxPackets - b.TxPackets,
		RxBytes:        c.RxBytes - b.RxBytes,
		TxBytes:        c.TxBytes - b.TxBytes,
		RxErrors:       c.RxErrors - b.RxErrors,
		TxErrors:       c.TxErrors - b.TxErrors,
		RxDropped:      c.RxDropped - b.RxDropped,
		TxDropped:      c.TxDropped - b.TxDropped,
		Collisions:     c.Collisions - b.Collisions,
		RxFrameErrors:  c.RxFrameErrors - b.RxFrameErrors,
		RxOverErrors:   c.RxOverErrors - b.RxOverErrors,
		RxCrcErrors:    c.RxCrcErrors - b.RxCrcErrors,
		RxMissedErrors: c.RxMissedErrors - b.RxMissedErrors,
		Multicast:      c.Multicast - b.Multicast,
	}, true
}

// Count adds what the kernel counted on the device to s, but for packets and
// bytes, which are the port's own.
func (d *Device) Count(s *port.Stats) {
	c, ok := d.Counted()
	if !ok {
		return
	}
	s.RxDropped += c.RxDropped
	s.RxErrors += c.RxErrors
	s.RxFrameErr += c.RxFrameErrors
	s.RxOverErr += c.RxOverErrors
	s.RxCRCErr += c.RxCrcErrors
	s.RxMissedErr += c.RxMissedErrors
	s.RxMulticast += c.Multicast
	s.TxDropped += c.TxDropped
	s.TxErrors += c.TxErrors
	s.Collisions += c.Collisions
}
