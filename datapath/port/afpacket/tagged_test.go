package afpacket

import (
	"sync/atomic"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"govs/datapath/packet"
	"govs/datapath/port/porttest"
)

// tagged makes of a host's device what a VLAN sub-interface is: the host's
// kernel tags what it sends, large segments as a whole and with the tag beside
// the packet, and takes the tag off what comes. It needs no 8021q module.
func tagged(t *testing.T, host *porttest.NS, device string, vid int32) {
	t.Helper()
	program := func(helper asm.BuiltinFunc) *ebpf.Program {
		p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
			Name: "govs_vlan",
			Type: ebpf.SchedCLS,
			Instructions: asm.Instructions{
				asm.Mov.Imm(asm.R2, 0x0081), // 0x8100 in network order; pop takes no arguments
				asm.Mov.Imm(asm.R3, vid),
				helper.Call(),
				asm.Mov.Imm(asm.R0, 0), // TCX_PASS
				asm.Return(),
			},
			License: "GPL",
		})
		if err != nil {
			t.Skipf("needs the privilege to load programs: %v", err)
		}
		t.Cleanup(func() { p.Close() })
		return p
	}
	push, pop := program(asm.FnSkbVlanPush), program(asm.FnSkbVlanPop)
	if err := host.Do(func() error {
		dev, err := netlink.LinkByName(device)
		if err != nil {
			return err
		}
		for _, o := range []link.TCXOptions{
			{Program: push, Attach: ebpf.AttachTCXEgress},
			{Program: pop, Attach: ebpf.AttachTCXIngress},
		} {
			o.Interface = dev.Attrs().Index
			l, err := link.AttachTCX(o)
			if err != nil {
				return err
			}
			t.Cleanup(func() { l.Close() })
		}
		return nil
	}); err != nil {
		t.Skipf("needs TCX (Linux 6.6): %v", err)
	}
}

// TestTaggedHosts has hosts that tag their packets themselves: their large
// segments and partial checksums travel with the tag, to a host that tags, and
// through a switch that takes the tag off to one that does not.
func TestTaggedHosts(t *testing.T) {
	const vid = 10
	t.Run("both", func(t *testing.T) {
		w := newWire(t, nil)
		tagged(t, w.a, "eth0", vid)
		tagged(t, w.b, "eth0", vid)
		w.ping(hostB)
		w.tcp(hostB, nil, []string{"-R"})
	})
	t.Run("one", func(t *testing.T) {
		// At the end of the test the host loses its tag before the wire is cut.
		var untagged atomic.Int64
		w := newWire(t, nil, func(p *packet.Packet) {
			f := p.Bytes()
			if len(f) < 18 || f[12] != 0x81 || f[13] != 0 || f[14]&0xf != 0 || f[15] != vid {
				untagged.Add(1)
				return
			}
			copy(f[4:16], f[:12])
			p.Pull(4)
		}, func(p *packet.Packet) { pushTag(p, 0x8100, vid) })
		tagged(t, w.a, "eth0", vid)
		w.ping(hostB)
		w.tcp(hostB, nil, []string{"-R"})
		if n := untagged.Load(); n != 0 {
			t.Errorf("%d packets came without the tag", n)
		}
	})
}
