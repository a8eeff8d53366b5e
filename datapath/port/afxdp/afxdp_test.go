package afxdp

import (
	"encoding/binary"
	"errors"
	"testing"

	"govs/datapath/flow"
	"govs/datapath/header"
	"govs/datapath/packet"
	"govs/datapath/port"
	"govs/datapath/port/afpacket"
	"govs/datapath/port/porttest"
	"govs/datapath/port/rtnl"
)

// open makes a port of dev in the namespace, or skips the test where the kernel
// has no AF_XDP.
func open(t *testing.T, ns *porttest.NS, dev string, o Options) *Port {
	t.Helper()
	if o.Pool == nil {
		o.Pool = new(packet.Pool)
	}
	var p *Port
	err := ns.Do(func() (err error) {
		p, err = Open(dev, o)
		return err
	})
	if errors.Is(err, port.ErrUnsupported) {
		t.Skipf("needs AF_XDP: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func TestConformance(t *testing.T) {
	for _, o := range []Options{{Mode: Native}, {Mode: Native, NoNeedWakeup: true}, {Mode: Generic}} {
		name := o.Mode.String()
		if o.NoNeedWakeup {
			name += ", use-need-wakeup=false"
		}
		t.Run(name, func(t *testing.T) {
			porttest.Run(t, func(t *testing.T) porttest.Pair {
				sw, host := porttest.NewNS(t), porttest.NewNS(t)
				sw.Veth("p0", host, "eth0")
				pair := porttest.Pair{Port: open(t, sw, "p0", o), NoSegments: true, Vanish: func() error { return sw.Delete("p0") }}
				var far *afpacket.Port
				host.Must(func() (err error) {
					far, err = afpacket.Open("eth0", afpacket.Options{Pool: new(packet.Pool)})
					return err
				})
				t.Cleanup(func() { far.Close() })
				pair.Inject, pair.Capture = porttest.Far(t, far)
				return pair
			})
		})
	}
}

// The best mode that a veth has is native; zero copy is refused clearly, and
// nothing stays behind.
func TestModes(t *testing.T) {
	sw, host := porttest.NewNS(t), porttest.NewNS(t)
	sw.Veth("p0", host, "eth0")
	err := sw.Do(func() error {
		p, err := Open("p0", Options{Pool: new(packet.Pool), Mode: ZeroCopy})
		if err == nil {
			p.Close()
		}
		return err
	})
	if !errors.Is(err, port.ErrUnsupported) {
		t.Errorf("zero copy: %v", err)
	}
	for range 3 { // each takes the queues again
		p := open(t, sw, "p0", Options{})
		if got := p.Describe()["xdp-mode"]; got != "native" {
			t.Errorf("xdp-mode is %s", got)
		}
		if n := len(p.Custom()); n < 6 || n%6 != 0 {
			t.Errorf("%d counters of queues", n)
		}
		p.Close()
	}
	err = sw.Do(func() error {
		_, err := Open("nothere", Options{Pool: new(packet.Pool)})
		return err
	})
	if !errors.Is(err, rtnl.ErrNotFound) {
		t.Error(err)
	}
	for text, want := range map[string]Mode{"": BestEffort, "best-effort": BestEffort, "native-with-zerocopy": ZeroCopy, "native": Native, "generic": Generic} {
		if got, err := ParseMode(text); got != want || err != nil {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	if _, err := ParseMode("quick"); err == nil {
		t.Error("any mode is taken")
	}
}

// Partial checksums are found out by their value.
func TestUnfinished(t *testing.T) {
	for _, c := range []struct {
		text          string
		start, offset int
	}{
		{"eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02),eth_type(0x0800),ipv4(src=10.0.0.1,dst=10.0.0.2,proto=6,tos=0,ttl=64,frag=no),tcp(src=1,dst=2)", 34, 16},
		{"eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02),eth_type(0x0800),ipv4(src=10.0.0.1,dst=10.0.0.2,proto=17,tos=0,ttl=64,frag=no),udp(src=1,dst=2)", 34, 6},
		{"eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02),eth_type(0x8100),vlan(vid=5,pcp=0),encap(eth_type(0x0800),ipv4(src=10.0.0.1,dst=10.0.0.2,proto=6,tos=0,ttl=64,frag=no),tcp(src=1,dst=2))", 38, 16},
		{"eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02),eth_type(0x86dd),ipv6(src=fd00::1,dst=fd00::2,label=0,proto=17,tclass=0,hlimit=64,frag=no),udp(src=1,dst=2)", 54, 6},
	} {
		text, start, offset := c.text, c.start, c.offset
		f, err := flow.ComposeText(text)
		if err != nil {
			t.Fatal(err)
		}
		if o := unfinished(f); o != (packet.Offload{}) {
			t.Errorf("%s: a whole checksum counts as partial: %+v", text, o)
		}
		whole := binary.BigEndian.Uint16(f[start+offset:])
		var pseudo uint64
		if ip := header.IPv4(f[start-20:]); ip.Version() == 4 && ip.HeaderLen() == 20 {
			length := ip.TotalLen() - 20
			pseudo = header.PseudoSum(ip.Src(), ip.Dst(), ip.Proto(), length)
		} else {
			ip := header.IPv6(f[start-40:])
			length := ip.PayloadLen()
			pseudo = header.PseudoSum(ip.Src(), ip.Dst(), ip.Next(), length)
		}
		binary.BigEndian.PutUint16(f[start+offset:], ^header.Fold(pseudo))
		o := unfinished(f)
		if !o.NeedsCsum || int(o.CsumStart) != start || int(o.CsumOffset) != offset {
			t.Errorf("%s: %+v, want %d+%d", text, o, start, offset)
			continue
		}
		p := new(packet.Pool).From(f)
		p.Offload = o
		if err := packet.CompleteChecksum(p); err != nil {
			t.Error(err)
		}
		if got := binary.BigEndian.Uint16(p.Bytes()[start+offset:]); got != whole {
			t.Errorf("%s: completed %04x, was %04x", text, got, whole)
		}
		for n := range f {
			unfinished(f[:n])
		}
	}
}

func FuzzUnfinished(f *testing.F) {
	f.Add([]byte("\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x08\x00\x45\x00\x00\x1c\x00\x00\x00\x00\x40\x11\x00\x00\x0a\x00\x00\x01\x0a\x00\x00\x02\x00\x01\x00\x02\x00\x08\x00\x00"))
	f.Fuzz(func(t *testing.T, frame []byte) {
		if o := unfinished(frame); o.NeedsCsum && int(o.CsumStart)+int(o.CsumOffset)+2 > len(frame) {
			t.Fatalf("%+v of %d bytes", o, len(frame))
		}
	})
}
