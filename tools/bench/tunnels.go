package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// A tunnelKind is an interface by its columns. A bare one carries packets without
// Ethernet headers.
type tunnelKind struct {
	name, columns string
	bare          bool
}

var tunnelKinds = []tunnelKind{
	{name: "gre", columns: "type=gre options:remote_ip=172.16.0.{o} options:key=5"},
	{name: "vxlan", columns: "type=vxlan options:remote_ip=172.16.0.{o} options:key=5"},
	{name: "geneve", columns: "type=geneve options:remote_ip=172.16.0.{o} options:key=5"},
	{name: "erspan", columns: "type=erspan options:remote_ip=172.16.0.{o} options:key=5 options:erspan_ver=1 options:erspan_idx=1"},
	{name: "vxlan over IPv6", columns: "type=vxlan options:remote_ip=fd00:9::{o} options:key=5"},
	{name: "gre of IP", columns: "type=gre options:remote_ip=172.16.0.{o} options:key=5 options:packet_type=legacy_l3", bare: true},
	{name: "gtpu", columns: "type=gtpu options:remote_ip=172.16.0.{o} options:key=5", bare: true},
}

// tunnels measures what passes through tunnels between two switches.
func tunnels(o options) error {
	var measures []packetMeasure
	for _, kind := range tunnelKinds {
		rows := []packetRow{{name: kind.name + ": TCP, 1 stream, Gbit/s"}, {name: kind.name + ": TCP, 4 streams, Gbit/s"}}
		if !kind.bare { // its frames are none of IP
			rows = append(rows, packetRow{name: kind.name + ": 60-byte frames, kpps"}, packetRow{name: "  CPU a frame, ns", lower: true})
		}
		measures = append(measures, packetMeasure{rows, func(w *wire) ([]float64, error) { return w.through(kind) }})
	}
	all := twos()
	for _, w := range all {
		up := w.up
		w.up = func(w *wire) error {
			if err := up(w); err != nil {
				return err
			}
			return w.endTunnels()
		}
	}
	return o.compare("tunnels between two switches", all, measures)
}

// endTunnels makes a bridge for the hosts at each end, and one to the network
// between them. No kind of tunnel is there yet, but the hosts are to reach each
// other: by a tunnel that the measures replace.
func (w *wire) endTunnels() error {
	if err := w.both("add-br", "br-ex", "--", "set", "Bridge", "br-ex", "datapath_type=netdev", "--", "add-port", "br-ex", "{c}0",
		"--", "add-br", "br0", "--", "set", "Bridge", "br0", "datapath_type=netdev", "--", "add-port", "br0", "{p}"); err != nil {
		return err
	}
	for _, s := range []string{
		"ip addr add 172.16.0.1/24 dev br-ex", "ip link set br-ex up",
		"ip -n " + farNS + " addr add 172.16.0.2/24 dev br-ex", "ip -n " + farNS + " link set br-ex up",
		"ip addr add fd00:9::1/64 dev br-ex nodad", "ip -n " + farNS + " addr add fd00:9::2/64 dev br-ex nodad",
		"ip -n h0 link set eth0 mtu 1400", "ip -n h1 link set eth0 mtu 1400",
		"ip -n h0 neigh replace 10.1.1.2 lladdr " + hostAddress(1) + " dev eth0", "ip -n h1 neigh replace 10.1.1.1 lladdr " + hostAddress(0) + " dev eth0",
	} {
		if err := sh(s); err != nil {
			return err
		}
	}
	return w.tunnel(tunnelKinds[0])
}

// hostAddress is the Ethernet address of a host.
func hostAddress(i int) string { return fmt.Sprintf("02:00:00:00:00:0%d", i+1) }

// tunnel makes the tunnel one of that kind, and waits until it works.
func (w *wire) tunnel(kind tunnelKind) error {
	if err := w.both(append([]string{"--if-exists", "del-port", "t0", "--", "add-port", "br0", "t0", "--", "set", "Interface", "t0"}, strings.Fields(kind.columns)...)...); err != nil {
		return err
	}
	if !kind.bare {
		return reach(30 * time.Second)
	}
	for i, s := range []*wire{w, w.far} {
		if err := s.ovs(w.theirs("ovs-appctl"), "-t", "ovs-vswitchd", "fdb/add", "br0", "t0", "0", hostAddress(1-i)); err != nil {
			return err
		}
		if strings.HasPrefix(w.name, "C") { // it would not send a second packet to the address of zeros that it has learned
			if err := s.ovs(w.theirs("ovs-ofctl"), "add-flow", "unix:"+filepath.Join(s.dir, "br0.mgmt"), fmt.Sprintf("in_port=t0,actions=output:p%d", i)); err != nil {
				return err
			}
		}
		end, err := takeAll(fmt.Sprint("h", i), "eth0")
		if err != nil {
			return err
		}
		w.ends = append(w.ends, end)
	}
	return reach(5 * time.Second)
}

// takeAll has a host take what comes to a device, whatever the address: packets
// that had no Ethernet header have none.
func takeAll(ns, dev string) (release func(), err error) {
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "take_all", Type: ebpf.SchedCLS, License: "Apache-2.0", Instructions: asm.Instructions{
		asm.Mov.Imm(asm.R2, 0), // PACKET_HOST
		asm.FnSkbChangeType.Call(),
		asm.Mov.Imm(asm.R0, 0), // TC_ACT_OK
		asm.Return(),
	}})
	if err != nil {
		return nil, err
	}
	defer prog.Close()
	var l link.Link
	err = within(ns, func() error {
		at, err := net.InterfaceByName(dev)
		if err == nil {
			l, err = link.AttachTCX(link.TCXOptions{Interface: at.Index, Program: prog, Attach: ebpf.AttachTCXIngress})
		}
		return err
	})
	return func() { _ = l.Close() }, err
}

// within does something in a network namespace.
func within(ns string, do func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	was, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer was.Close()
	to, err := os.Open("/run/netns/" + ns)
	if err != nil {
		return err
	}
	defer to.Close()
	if err := unix.Setns(int(to.Fd()), unix.CLONE_NEWNET); err != nil {
		return err
	}
	return errors.Join(do(), unix.Setns(int(was.Fd()), unix.CLONE_NEWNET))
}

func (w *wire) through(kind tunnelKind) ([]float64, error) {
	switch err := w.tunnel(kind); {
	case err != nil && kind.bare && strings.HasPrefix(w.name, "C"): // Debian's finds the checksum of its own GTP-U wrong
		return make([]float64, 2), nil
	case err != nil:
		return nil, err
	}
	one, err := w.tcp(1, 1)
	if err != nil {
		return nil, err
	}
	four, err := w.tcp(1, 4)
	if err != nil {
		return nil, err
	}
	if kind.bare {
		return append(one, four...), nil
	}
	frames, err := w.smallFrames()
	if err != nil {
		return nil, err
	}
	return append(append(one, four...), frames...), nil
}
