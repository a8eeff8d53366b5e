package xlate

import (
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"

	"govs/datapath/flow"
	"govs/internal/debs"
)

// An oracle is Debian's ovs-vswitchd with dummy ports, in a folder of its own.
type oracle struct {
	t       testing.TB
	dir     string
	bridges []string
}

// newOracle starts the programs. The test skips where there are none.
func newOracle(t testing.TB) *oracle {
	t.Helper()
	o := &oracle{t: t, dir: debs.OVSDBServer(t)}
	o.run("ovs-vsctl", "--db=unix:"+o.dir+"/db.sock", "--no-wait", "init")
	cmd := exec.Command(debs.Bin(t, "ovs-vswitchd"), "unix:"+o.dir+"/db.sock", "--enable-dummy=override", "--disable-system",
		"--pidfile=vs.pid", "--unixctl="+o.dir+"/vs.ctl", "-vconsole:off")
	cmd.Dir, cmd.Env = o.dir, debs.Env(o.dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	debs.Await(t, "ovs-vswitchd's socket", func() bool {
		c, err := net.Dial("unix", o.dir+"/vs.ctl")
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return o
}

func (o *oracle) run(name string, args ...string) string {
	o.t.Helper()
	r := debs.Run(o.t, o.dir, debs.Bin(o.t, name), args...)
	if r.Code != 0 {
		o.t.Fatalf("%s %s: exit %d\n%s%s", name, strings.Join(args, " "), r.Code, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

func (o *oracle) ctl(args ...string) string {
	o.t.Helper()
	return o.run("ovs-appctl", append([]string{"-t", o.dir + "/vs.ctl"}, args...)...)
}

// configure replaces all bridges.
func (o *oracle) configure(s *spec) {
	o.t.Helper()
	args := []string{"--db=unix:" + o.dir + "/db.sock", "-t10"}
	for _, b := range o.bridges {
		args = append(args, "--", "del-br", b)
	}
	o.bridges = nil
	for _, b := range s.cfg.Bridges {
		o.bridges = append(o.bridges, b.Name)
	}
	args = append(args, "--", "set", "open_vswitch", ".", fmt.Sprintf("other_config:vlan-limit=%d", s.limit))
	o.run("ovs-vsctl", append(args, s.vsctl...)...)
	o.ctl("fdb/flush") // a bridge with the name of an old one is that one
}

// odp is the key in the syntax of datapath flows.
func (s *spec) odp(k *flow.Key) string {
	mac := func(m [6]byte) string {
		return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
	}
	ip := func(b [16]byte) string { return fmt.Sprintf("%d.%d.%d.%d", b[0], b[1], b[2], b[3]) }
	out := fmt.Sprintf("eth_type(%#04x)", k.EthType)
	switch k.EthType {
	case 0x0806:
		out += fmt.Sprintf(",arp(sip=%s,tip=%s,op=%d,sha=00:00:00:00:00:00,tha=00:00:00:00:00:00)", ip(k.IPSrc), ip(k.IPDst), k.Proto)
	case 0x0800:
		out += fmt.Sprintf(",ipv4(src=%s,dst=%s,proto=%d,tos=0,ttl=64,frag=no),udp(src=%d,dst=%d)", ip(k.IPSrc), ip(k.IPDst), k.Proto, k.TPSrc, k.TPDst)
	}
	for _, v := range []flow.VLAN{k.VLAN[1], k.VLAN[0]} {
		if v.Present() {
			out = fmt.Sprintf("eth_type(%#04x),vlan(vid=%d,pcp=%d),encap(%s)", v.TPID, v.VID(), v.PCP(), out)
		}
	}
	return fmt.Sprintf("in_port(%s),eth(src=%s,dst=%s),%s", s.names[k.InPort], mac(k.EthSrc), mac(k.EthDst), out)
}

// trace asks what the C switch does with the packet, and whether it learns.
func (o *oracle) trace(s *spec, k *flow.Key, learn bool) (actions, megaflow string) {
	o.t.Helper()
	args := []string{"ofproto/trace", "--names", "ovs-dummy", s.odp(k)}
	if learn {
		args = append(args, "-generate")
	}
	for _, l := range strings.Split(o.ctl(args...), "\n") {
		if v, ok := strings.CutPrefix(l, "Datapath actions: "); ok {
			actions = v
		}
		if v, ok := strings.CutPrefix(l, "Megaflow: "); ok {
			megaflow = v
		}
	}
	if actions == "" {
		o.t.Fatalf("no actions for %s", s.odp(k))
	}
	return actions, megaflow
}
