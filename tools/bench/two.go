package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// farNS is the namespace of the second switch of a pair.
const farNS = "far"

// two starts a switch from a folder of programs, and another one of the same
// kind in a namespace of its own: the first host is behind the first, the second
// behind the other. Three cables lead from one to the other, c0 to d0 and so on;
// c2 leads to d2 through a bridge of the kernel's, and can be cut there without
// either end seeing it.
func (w *wire) two(bin string, config ...string) error {
	w.far = &wire{name: w.name, o: w.o, dir: filepath.Join(w.dir, farNS), ns: farNS, bare: true}
	steps := []string{"ip netns add " + farNS, "ip link set p1 netns " + farNS, "ip -n " + farNS + " link set p1 up", "ip -n " + farNS + " link set lo up"}
	for i := range 2 {
		steps = append(steps, fmt.Sprintf("ip link add c%d type veth peer name d%d netns %s", i, i, farNS))
	}
	steps = append(steps, "ip link add c2 type veth peer name m0", "ip link add m1 type veth peer name d2 netns "+farNS,
		"ip link add mid type bridge", "ip link set m0 master mid up", "ip link set m1 master mid up", "ip link set mid up")
	for i := range 3 {
		steps = append(steps, fmt.Sprintf("ip link set c%d up", i), fmt.Sprintf("ip -n %s link set d%d up", farNS, i))
	}
	for _, s := range steps {
		if err := sh(s); err != nil {
			return err
		}
	}
	if err := w.far.prepare(); err != nil {
		return err
	}
	if err := w.startSwitch(bin, config...); err != nil {
		return err
	}
	return w.far.startSwitch(bin, config...)
}

func (w *wire) twoGovs() error     { return w.two(w.o.bin) }
func (w *wire) twoGovsUser() error { return w.two(w.o.bin, "other_config:ebpf-offload=false") }
func (w *wire) twoC() error        { return w.two(w.o.theirs) }

func (w *wire) stopTwo() {
	for _, end := range w.ends {
		end()
	}
	w.ends = nil
	w.far.stopSwitch()
	w.stopSwitch()
	for _, dev := range []string{"br-ex", "br3", "mid", "c2", "m1", "r0"} {
		_ = sh("ip link del " + dev)
	}
	_ = sh("ip netns del " + farNS)
}

// both runs ovs-vsctl for both switches, with what differs between them put in
// the place of words: {p} the host's port, {c} how cables are called, {n} 1 or
// 2, {o} the other one's number.
func (w *wire) both(words ...string) error {
	for i, s := range []*wire{w, w.far} {
		r := strings.NewReplacer("{p}", fmt.Sprintf("p%d", i), "{c}", []string{"c", "d"}[i], "{n}", strconv.Itoa(1+i), "{o}", strconv.Itoa(2-i))
		args := s.vsctl()
		for _, word := range words {
			args = append(args, r.Replace(word))
		}
		if err := s.ovs(args...); err != nil {
			return err
		}
	}
	return nil
}

// twos are pairs of switches of the same kind.
func twos() []*wire {
	return []*wire{
		{name: "govs", up: (*wire).twoGovs, down: (*wire).stopTwo, pairs: 1, bare: true},
		{name: "govs, user", up: (*wire).twoGovsUser, down: (*wire).stopTwo, pairs: 1, bare: true},
		{name: "C, tx off", up: (*wire).twoC, down: (*wire).stopTwo, pairs: 1, bare: true, txOff: true},
		{name: "C, default", up: (*wire).twoC, down: (*wire).stopTwo, pairs: 1, bare: true},
	}
}

// reach waits until the first host reaches the second.
func reach(most time.Duration) error {
	var err error
	for end := time.Now().Add(most); time.Now().Before(end); {
		if err = sh("ip netns exec h0 ping -c 1 -W 1 10.1.1.2"); err == nil {
			return nil
		}
	}
	return err
}

// A cutting is how packets lose their way between two switches, and find
// another one.
type cutting struct {
	name string
	make []string   // what br0 has beside the host's port, for ovs-vsctl
	ring []string   // makes a third bridge, too, with these columns
	cuts [][]string // what cuts, and what mends; of several the worst counts
	most time.Duration
}

var pulls = [][]string{{"ip link set c0 down", "ip link set c0 up"}, {"ip link set c1 down", "ip link set c1 up"}}

// shortSTP has a spanning tree of IEEE 802.1D-1998 converge as fast as the
// standard allows (8.10.2).
var shortSTP = []string{"stp_enable=true", "other_config:stp-forward-delay=4", "other_config:stp-max-age=6", "other_config:stp-hello-time=2"}

// The last one takes its time: nobody waits for it to mend.
var cuttings = []cutting{
	{name: "bond, active-backup: cable pulled, ms lost", cuts: pulls[:1],
		make: []string{"--", "add-bond", "br0", "b0", "{c}0", "{c}1", "bond_mode=active-backup", "other_config:bond-primary={c}0"}},
	{name: "bond, LACP, balance-tcp: cable pulled, ms lost", cuts: pulls,
		make: []string{"--", "add-bond", "br0", "b0", "{c}0", "{c}1", "bond_mode=balance-tcp", "lacp=active", "other_config:lacp-time=fast"}},
	{name: "bond, BFD of 100 ms: path lost, ms lost", cuts: [][]string{{"ip link set m1 nomaster", "ip link set m1 master mid"}},
		make: []string{"--", "add-bond", "br0", "b0", "{c}2", "{c}1", "bond_mode=active-backup", "other_config:bond-primary={c}2",
			"--", "set", "Interface", "{c}2", "bfd:enable=true", "bfd:min_rx=100", "bfd:min_tx=100", "--", "set", "Interface", "{c}1", "bfd:enable=true", "bfd:min_rx=100", "bfd:min_tx=100"}},
	{name: "ring of three, RSTP: cable pulled, ms lost", cuts: pulls[:1],
		make: []string{"rstp_enable=true", "other_config:rstp-priority=4096"}, ring: []string{"rstp_enable=true"}},
	{name: "ring of three, STP of 4 s: cable pulled, ms lost", cuts: pulls[:1], most: 20 * time.Second,
		make: append(shortSTP, "other_config:stp-priority=4096"), ring: shortSTP},
}

// convergence measures for how long packets are lost when a cable is pulled.
func convergence(o options) error {
	var measures []packetMeasure
	for _, c := range cuttings {
		measures = append(measures, packetMeasure{[]packetRow{{name: c.name, lower: true}}, func(w *wire) ([]float64, error) {
			ms, err := w.cut(&c)
			return []float64{ms}, err
		}})
	}
	all := slices.Delete(twos()[:3], 1, 2)
	for _, w := range all {
		up := w.up
		w.up = func(w *wire) error {
			if err := up(w); err != nil {
				return err
			}
			if err := w.both(append(slices.Clip(bridge0), "--", "add-port", "br0", "{c}0")...); err != nil {
				return err
			}
			return reach(30 * time.Second)
		}
	}
	return o.compare("convergence of two switches", all, measures)
}

// bridge0 makes br0 anew, with the host's port.
var bridge0 = []string{"--if-exists", "del-br", "br0", "--", "--if-exists", "del-br", "br3",
	"--", "add-br", "br0", "--", "add-port", "br0", "{p}", "--", "set", "Bridge", "br0", "datapath_type=netdev"}

// cut makes the network, and is for how long packets between the hosts were
// lost, in ms.
func (w *wire) cut(c *cutting) (worst float64, err error) {
	_ = sh("ip link del r0")
	if err := w.both(append(slices.Clip(bridge0), c.make...)...); err != nil {
		return 0, err
	}
	if c.ring != nil {
		// The ring: the first switch's br0, by c0 to the other's br0, from there by
		// c1 to br3, which is the first switch's as well, and by r0 back.
		for _, s := range []string{"ip link add r0 type veth peer name r1", "ip link set r0 up", "ip link set r1 up"} {
			if err := sh(s); err != nil {
				return 0, err
			}
		}
		third := append([]string{"add-port", "br0", "c0", "--", "add-port", "br0", "r0", "--", "add-br", "br3", "--", "add-port", "br3", "r1", "--", "add-port", "br3", "c1",
			"--", "set", "Bridge", "br3", "datapath_type=netdev"}, c.ring...)
		if err := w.ovs(w.vsctl(third...)...); err != nil {
			return 0, err
		}
		if err := w.far.ovs(w.far.vsctl("add-port", "br0", "d0", "--", "add-port", "br0", "d1")...); err != nil {
			return 0, err
		}
	}
	for _, cut := range c.cuts {
		if err := steady(time.Minute); err != nil {
			return 0, err
		}
		ms, err := outage(cut[0], cmp.Or(c.most, 3*time.Second))
		if err != nil {
			return 0, err
		}
		worst = max(worst, ms)
		if err := sh(cut[1]); err != nil {
			return 0, err
		}
	}
	if c.most > 0 {
		return worst, nil
	}
	return worst, steady(time.Minute)
}

// steady waits until no packet is lost for a second.
func steady(most time.Duration) error {
	var out []byte
	for end := time.Now().Add(most); time.Now().Before(end); {
		out, _ = exec.Command("ip", "netns", "exec", "h0", "ping", "-q", "-i", "0.02", "-c", "50", "-W", "1", "10.1.1.2").Output()
		if strings.Contains(string(out), " 0% packet loss") {
			return nil
		}
	}
	return fmt.Errorf("packets are lost: %s", out)
}

// outage runs a command while a packet a millisecond goes from host to host and
// back: the time for which they were lost, in ms.
func outage(command string, d time.Duration) (float64, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	echo := exec.Command("ip", "netns", "exec", "h1", self, "-echo")
	ready, err := echo.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := echo.Start(); err != nil {
		return 0, err
	}
	defer func() {
		_ = echo.Process.Kill()
		_ = echo.Wait()
	}()
	if _, err := ready.Read(make([]byte, 1)); err != nil {
		return 0, err
	}
	type result struct {
		lost float64
		err  error
	}
	done := make(chan result, 1)
	go func() {
		out, err := exec.Command("ip", "netns", "exec", "h0", self, "-probe", "10.1.1.2", "-seconds", fmt.Sprint(d.Seconds())).Output()
		var r result
		if r.err = err; err == nil {
			_, r.err = fmt.Sscan(string(out), &r.lost)
		}
		done <- r
	}()
	time.Sleep(500 * time.Millisecond)
	err = sh(command)
	r := <-done
	if err == nil {
		err = r.err
	}
	return r.lost, err
}

// echoPort is where the second host answers.
const echoPort = ":7777"

// echo answers what comes, until it is killed; it says when it is ready.
func echo() error {
	c, err := net.ListenPacket("udp4", echoPort)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for b := make([]byte, 64); ; {
		n, from, err := c.ReadFrom(b)
		if err != nil {
			return err
		}
		_, _ = c.WriteTo(b[:n], from)
	}
}

// inquire sends a packet a millisecond to the host, and prints how many had no
// answer.
func inquire(host string, d time.Duration) error {
	c, err := net.Dial("udp4", host+echoPort)
	if err != nil {
		return err
	}
	defer c.Close()
	var answers atomic.Int64
	go func() {
		for b := make([]byte, 64); ; {
			if _, err := c.Read(b); errors.Is(err, net.ErrClosed) {
				return
			} else if err == nil {
				answers.Add(1)
			}
		}
	}()
	sent, begin := int64(0), time.Now()
	for now := time.Duration(0); now < d; now = time.Since(begin) {
		for ; sent < now.Milliseconds(); sent++ {
			_, _ = c.Write([]byte("are you there?"))
		}
		time.Sleep(time.Millisecond)
	}
	time.Sleep(200 * time.Millisecond) // the last ones are under way
	fmt.Println(max(sent-answers.Load(), 0))
	return nil
}
