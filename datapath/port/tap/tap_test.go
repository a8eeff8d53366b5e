package tap

import (
	"errors"
	"log/slog"
	"os/exec"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"govs/datapath/packet"
	"govs/datapath/port"
	"govs/datapath/port/afpacket"
	"govs/datapath/port/porttest"
	"govs/datapath/port/rtnl"
)

// open makes a port in the namespace, or skips where there is no TAP.
func open(t testing.TB, ns *porttest.NS, name string, o Options) (*Port, error) {
	t.Helper()
	var p *Port
	if o.Pool == nil {
		o.Pool = new(packet.Pool)
	}
	err := ns.Do(func() (err error) {
		p, err = Open(name, o)
		return err
	})
	if errors.Is(err, unix.ENOENT) {
		t.Skipf("the kernel has no TAP devices: %v", err)
	}
	if err == nil {
		t.Cleanup(func() { p.Close() })
	}
	return p, err
}

func TestConformance(t *testing.T) {
	porttest.Run(t, func(t *testing.T) porttest.Pair {
		ns := porttest.NewNS(t)
		p, err := open(t, ns, "tap0", Options{Up: true})
		if err != nil {
			t.Fatal(err)
		}
		var far port.Port
		ns.Must(func() (err error) {
			far, err = afpacket.Open("tap0", afpacket.Options{Pool: new(packet.Pool)})
			return err
		})
		pair := porttest.Pair{Port: p, Vanish: func() error { return ns.Delete("tap0") }}
		pair.Inject, pair.Capture = porttest.Far(t, far)
		return pair
	})
}

func TestOptions(t *testing.T) {
	ns := porttest.NewNS(t)
	mac := []byte{0x02, 0, 0, 0, 0, 0x33}
	p, err := open(t, ns, "br0", Options{Up: true, MAC: mac, MTU: 1400, New: true})
	if err != nil {
		t.Fatal(err)
	}
	st := p.State()
	if st.MAC.String() != "02:00:00:00:00:33" || st.MTU != 1400 || !st.Admin || !st.Link || st.Driver != "tun" {
		t.Errorf("%+v", st)
	}
	if _, err := open(t, ns, "br0", Options{New: true}); !errors.Is(err, unix.EBUSY) {
		t.Errorf("a second one: %v", err)
	}
	if _, err := open(t, ns, "lo", Options{}); !errors.Is(err, unix.EINVAL) {
		t.Errorf("not a TAP device: %v", err)
	}
	if _, err := open(t, ns, "a-name-that-is-too-long", Options{}); err == nil {
		t.Error("a long name was taken")
	}
	p.Close()
	if exists(ns, "br0") {
		t.Error("the device is there after Close")
	}
}

var nolog = slog.New(slog.DiscardHandler)

func exists(ns *porttest.NS, name string) bool {
	found := false
	ns.Must(func() error {
		m, err := rtnl.New(nolog)
		if err != nil {
			return err
		}
		defer m.Close()
		_, err = m.ByName(name)
		found = err == nil
		return nil
	})
	return found
}

func TestPersistent(t *testing.T) {
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip(err)
	}
	ns := porttest.NewNS(t)
	if out, err := ns.Run("ip", "tuntap", "add", "dev", "vm0", "mode", "tap"); err != nil {
		t.Skip(out, err)
	}
	p, err := open(t, ns, "vm0", Options{Up: true})
	if err != nil {
		t.Fatal(err)
	}
	if !p.State().Link {
		t.Error("no carrier")
	}
	p.Close()
	if !exists(ns, "vm0") {
		t.Error("Close removed a device that was there before")
	}
}

// TestInternal is a host behind a TAP device that talks TCP with one behind a
// veth pair, at default offload settings.
func TestInternal(t *testing.T) {
	sw, host := porttest.NewNS(t), porttest.NewNS(t)
	sw.Veth("p0", host, "eth0")
	host.Addr("eth0", "192.0.2.1/24")
	var pool packet.Pool
	inside, err := open(t, sw, "br0", Options{Pool: &pool, Up: true})
	if err != nil {
		t.Fatal(err)
	}
	sw.Addr("br0", "192.0.2.2/24")
	var outside port.Port
	sw.Must(func() (err error) {
		outside, err = afpacket.Open("p0", afpacket.Options{Pool: &pool})
		return err
	})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer inside.Close()
	defer outside.Close()
	for _, way := range [][2]port.Port{{inside, outside}, {outside, inside}} {
		wg.Go(func() {
			var b packet.Batch
			for {
				b.Reset()
				if err := way[0].Recv(&b); errors.Is(err, port.ErrClosed) {
					return
				}
				if err := way[1].Send(&b); err != nil && !errors.Is(err, port.ErrClosed) {
					t.Error(err)
				}
				b.FreeAll()
			}
		})
	}
	for _, args := range [][]string{{"-t", "1"}, {"-t", "1", "-R"}} {
		bps := porttest.IPerf(t, host, sw, "192.0.2.2", args...)
		t.Logf("iperf3 %v: %.2f Gbit/s", args, bps/1e9)
		if bps < 10e6 { // retransmissions only: offloads were lost
			t.Errorf("iperf3 %v: only %.0f bit/s", args, bps)
		}
	}
	t.Logf("%+v", inside.Stats())
}
