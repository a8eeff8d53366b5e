package dummy

import (
	"fmt"
	"net"
	"slices"

	"govs/datapath/port"
)

type portState = port.State

// State implements port.Port.
func (p *Port) State() port.State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

// Notify implements port.Notifier.
func (p *Port) Notify(f func(port.State)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notify = f
}

// change changes the state, and tells.
func (p *Port) change(edit func(*port.State)) {
	p.mu.Lock()
	edit(&p.state)
	st, tell := p.state, p.notify
	p.mu.Unlock()
	if tell != nil {
		tell(st)
	}
}

// SetMAC implements port.Admin.
func (p *Port) SetMAC(mac net.HardwareAddr) error {
	if len(mac) != 6 {
		return fmt.Errorf("%s: %v is no Ethernet address", p.name, mac)
	}
	mac = slices.Clone(mac)
	p.change(func(st *port.State) { st.MAC = mac })
	return nil
}

// SetMTU implements port.Admin, for 68 to 65,535 bytes.
func (p *Port) SetMTU(mtu int) error {
	if mtu < 68 || mtu > 65535 {
		return fmt.Errorf("%s: an MTU of %d is not in the range 68 to 65535", p.name, mtu)
	}
	p.change(func(st *port.State) { st.MTU = mtu })
	return nil
}

// SetUp implements port.Admin.
func (p *Port) SetUp(up bool) error {
	p.change(func(st *port.State) { st.Admin = up })
	return nil
}

// SetCarrier gives the port a carrier or takes it away.
func (p *Port) SetCarrier(on bool) {
	p.change(func(st *port.State) {
		if st.Link != on {
			st.Link = on
			st.Resets++
		}
	})
}
