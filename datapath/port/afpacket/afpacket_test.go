package afpacket

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/vishvananda/netlink"

	"govs/datapath/packet"
	"govs/datapath/port"
	"govs/datapath/port/porttest"
	"govs/datapath/port/rtnl"
)

// open makes a port of dev in the namespace.
func open(t testing.TB, ns *porttest.NS, dev string, o Options) *Port {
	t.Helper()
	var p *Port
	if o.Pool == nil {
		o.Pool = new(packet.Pool)
	}
	ns.Must(func() (err error) {
		p, err = Open(dev, o)
		return err
	})
	t.Cleanup(func() { p.Close() })
	return p
}

func TestConformance(t *testing.T) {
	porttest.Run(t, func(t *testing.T) porttest.Pair {
		sw, host := porttest.NewNS(t), porttest.NewNS(t)
		sw.Veth("p0", host, "eth0")
		pair := porttest.Pair{
			Port:   open(t, sw, "p0", Options{}),
			Vanish: func() error { return sw.Delete("p0") },
		}
		pair.Inject, pair.Capture = porttest.Far(t, open(t, host, "eth0", Options{}))
		return pair
	})
}

func TestNoDevice(t *testing.T) {
	ns := porttest.NewNS(t)
	err := ns.Do(func() error {
		_, err := Open("nothere", Options{Pool: new(packet.Pool)})
		return err
	})
	if !errors.Is(err, rtnl.ErrNotFound) {
		t.Error(err)
	}
	t.Log(err)
}

// TestAllocs sends and receives without allocating, once pools are warm.
func TestAllocs(t *testing.T) {
	sw, host := porttest.NewNS(t), porttest.NewNS(t)
	sw.Veth("p0", host, "eth0")
	var pool packet.Pool
	p := open(t, sw, "p0", Options{Pool: &pool})
	far := open(t, host, "eth0", Options{Pool: &pool})
	var out, in packet.Batch
	for _, n := range []int{60, 1514, 1000} {
		pkt := pool.Get(n)
		pkt.SetLen(n)
		clear(pkt.Bytes())
		pkt.Bytes()[12], pkt.Bytes()[13] = 0x88, 0xb5
		out.Add(pkt)
	}
	n := testing.AllocsPerRun(200, func() {
		if err := far.Send(&out); err != nil {
			t.Fatal(err)
		}
		for got := 0; got < out.Len(); {
			if err := p.Recv(&in); err != nil {
				t.Fatal(err)
			}
			got += in.Len()
			in.FreeAll()
		}
	})
	if n >= 1 && !raceEnabled {
		t.Errorf("a batch to and fro allocates %v times", n)
	}
}

// TestRename takes a device that got another name for gone.
func TestRename(t *testing.T) {
	sw, host := porttest.NewNS(t), porttest.NewNS(t)
	sw.Veth("p0", host, "eth0")
	p := open(t, sw, "p0", Options{})
	states := make(chan port.State, 10)
	p.Notify(func(st port.State) { states <- st })
	sw.Must(func() error {
		l, err := netlink.LinkByName("p0")
		if err != nil {
			return err
		}
		return netlink.LinkSetName(l, "p1")
	})
	var b packet.Batch
	if err := p.Recv(&b); !errors.Is(err, port.ErrGone) {
		t.Errorf("Recv: %v", err)
	}
	for st := range states {
		if !st.Admin && st.Ifindex == 0 {
			break
		}
	}
}

// TestMove takes a device that went to another namespace for gone.
func TestMove(t *testing.T) {
	sw, host := porttest.NewNS(t), porttest.NewNS(t)
	sw.Veth("p0", host, "eth0")
	p := open(t, sw, "p0", Options{})
	if err := sw.Move("p0", host); err != nil {
		t.Fatal(err)
	}
	var b packet.Batch
	if err := p.Recv(&b); !errors.Is(err, port.ErrGone) {
		t.Errorf("Recv: %v", err)
	}
}

// TestCarrier counts the carrier's changes, told by one shared monitor.
func TestCarrier(t *testing.T) {
	sw, host := porttest.NewNS(t), porttest.NewNS(t)
	sw.Veth("p0", host, "eth0")
	sw.Veth("p1", host, "eth1")
	var links *rtnl.Monitor
	sw.Must(func() (err error) {
		links, err = rtnl.New(slog.New(slog.DiscardHandler))
		return err
	})
	defer links.Close()
	p0 := open(t, sw, "p0", Options{Links: links})
	p1 := open(t, sw, "p1", Options{Links: links})
	states := make(chan port.State, 10)
	p0.Notify(func(st port.State) { states <- st })
	p1.Notify(func(st port.State) { t.Errorf("p1 was told %+v", st) })
	host.Down("eth0")
	for st := range states {
		if !st.Link {
			if st.Resets != 1 || !st.Admin || st.Driver != "veth" {
				t.Errorf("%+v", st)
			}
			break
		}
	}
	host.Up("eth0")
	for st := range states {
		if st.Link {
			if st.Resets != 2 || st.Speed != 10_000_000_000 || st.Duplex != "full" {
				t.Errorf("%+v", st)
			}
			break
		}
	}
	if !p1.State().Link {
		t.Errorf("%+v", p1.State())
	}
	p1.Notify(nil)
}

func TestKernelHas(t *testing.T) {
	if !kernelHas(4, 20) || !kernelHas(3, 99) || kernelHas(1000, 0) {
		t.Error("the kernel's release is misread")
	}
}
