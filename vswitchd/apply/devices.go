package apply

import (
	"fmt"
	"log/slog"
	"net"

	"govs/datapath/packet"
	"govs/datapath/port"
	"govs/datapath/port/afpacket"
	"govs/datapath/port/afxdp"
	"govs/datapath/port/dummy"
	"govs/datapath/port/pcapfile"
	"govs/datapath/port/rtnl"
	"govs/datapath/port/tap"
	"govs/vswitchd/desired"
)

// Devices opens the ports of the network namespace that Links belongs to.
type Devices struct {
	Pool  *packet.Pool
	Links *rtnl.Monitor
	Log   *slog.Logger
	// Changed is called, by any goroutine, when a port's state changed.
	Changed func()
	// Guard gives what takes care of a network device that is opened, nil for
	// what the port does itself. It may be nil.
	Guard  func() port.Guard
	RunDir string // where dummies' sockets with relative paths stand

	dummies int // how many were made, for their addresses
}

// Open implements Opener.
func (d *Devices) Open(i *desired.Interface, s Settings) (port.Port, error) {
	p, err := d.open(i, s)
	if err != nil {
		return nil, err
	}
	if n, ok := p.(port.Notifier); ok && d.Changed != nil {
		n.Notify(func(port.State) { d.Changed() })
	}
	return p, nil
}

// dummy makes a dummy. That a file cannot be written, or a socket not made, is
// no reason not to have the port.
func (d *Devices) dummy(i *desired.Interface, mac net.HardwareAddr) (port.Port, error) {
	p, err := dummy.New(i.Name, dummy.Options{Pool: d.Pool, MAC: mac, RunDir: d.RunDir})
	if err != nil {
		return nil, err
	}
	if err := p.Configure(dummy.Parse(i.Options)); err != nil {
		d.Log.Warn(fmt.Sprintf("%s: %v", i.Name, err))
	}
	return p, nil
}

// open opens the port. An MTU that the device does not take is no reason not
// to have the port.
func (d *Devices) open(i *desired.Interface, s Settings) (p port.Port, err error) {
	switch i.Kind {
	case desired.Internal, desired.Tap:
		p, err = tap.Open(i.Name, tap.Options{Pool: d.Pool, Log: d.Log, Links: d.Links, MAC: s.MAC})
	case desired.DummyNIC:
		// As the C daemon's dummies: aa:55:aa:55 and a count, of which the first
		// is that of the datapath's own port.
		d.dummies++
		mac := net.HardwareAddr{0xaa, 0x55, 0xaa, 0x55, byte(d.dummies >> 8), byte(d.dummies)}
		if i.Local {
			mac = s.MAC
		}
		p, err = d.dummy(i, mac)
	case desired.PCAP:
		p, err = pcapfile.Open(i.Name, pcapfile.Options{Pool: d.Pool, Rx: i.Options["rx_pcap"], Tx: i.Options["tx_pcap"]})
	case desired.AFXDP:
		mode, _ := afxdp.ParseMode(i.Options["xdp-mode"]) // desired has looked at it
		p, err = afxdp.Open(i.Name, afxdp.Options{Pool: d.Pool, Log: d.Log, Links: d.Links, Mode: mode,
			NoNeedWakeup: i.Options["use-need-wakeup"] == "false"})
	default:
		// Most that fail are not there. To find that out after a packet socket
		// was opened takes the kernel a hundred times as long.
		if d.Links != nil {
			if _, err := d.Links.ByName(i.Name); err != nil {
				return nil, err
			}
		}
		o := afpacket.Options{Pool: d.Pool, Log: d.Log, Links: d.Links}
		if d.Guard != nil {
			o.Guard = d.Guard()
		}
		p, err = afpacket.Open(i.Name, o)
	}
	if err != nil {
		return nil, err
	}
	if admin, ok := p.(port.Admin); ok && s.MTU != 0 && s.MTU != p.State().MTU {
		if err := admin.SetMTU(s.MTU); err != nil {
			d.Log.Warn(fmt.Sprintf("interface %s: setting MTU failed (%s)", i.Name, reason(err)))
		}
		if device, ok := p.(interface{ Refresh() }); ok {
			device.Refresh()
		}
	}
	return p, nil
}
