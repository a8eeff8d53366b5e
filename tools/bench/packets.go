package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A wire is a switch under test: two hosts hang on it.
type wire struct {
	name    string
	up      func(w *wire) error // makes the switch, with ports p0 and p1
	down    func(w *wire)
	txOff   bool // the hosts' offloads are off
	dummies bool // ports are dummies, and there are none to begin with
	o       options
	dir     string
	results map[string][]float64
}

// packetMeasures are the rows, with the ratios to reach: by the best C way and
// by the Linux bridge, with the flow cache and without.
var packetMeasures = []struct {
	name       string
	run        func(*wire) (float64, error)
	fast, slow [2]float64 // 0 for none
}{
	{"TCP, 1 stream, Gbit/s", func(w *wire) (float64, error) { return w.tcp(1) }, [2]float64{1.2, 0.9}, [2]float64{1.0, 0.65}},
	{"TCP, 4 streams, Gbit/s", func(w *wire) (float64, error) { return w.tcp(4) }, [2]float64{1.6, 0.9}, [2]float64{1.2, 0.4}},
	{"60-byte frames, kpps", (*wire).kpps, [2]float64{2, 1.2}, [2]float64{1.5, 0.9}},
	{"ping round trip, us", (*wire).ping, [2]float64{0.3, 1.1}, [2]float64{}},
}

// packets compares the switches and prints the table.
func packets(o options) error {
	for _, args := range []string{"mount -t tmpfs tmpfs /run", "mkdir -p /run/netns", "mount -t sysfs sysfs /sys", "ip link set lo up"} {
		if err := sh(args); err != nil {
			return err
		}
	}
	wires := []*wire{
		{name: "govs, eBPF", up: (*wire).govs, down: (*wire).stopSwitch},
		{name: "govs, userspace", up: (*wire).govsUser, down: (*wire).stopSwitch},
		{name: "C, tx off", up: (*wire).c, down: (*wire).stopSwitch, txOff: true},
		{name: "C, tso-enable", up: (*wire).cTSO, down: (*wire).stopSwitch},
		{name: "C, default", up: (*wire).c, down: (*wire).stopSwitch},
		{name: "Linux bridge", up: (*wire).bridge, down: func(*wire) { _ = sh("ip link del br0") }},
	}
	for i, w := range wires {
		w.o, w.results = o, map[string][]float64{}
		w.dir = filepath.Join(o.dir, fmt.Sprintf("wire%d", i))
	}
	for range o.rounds {
		for _, w := range wires {
			if err := w.round(); err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
		}
	}
	fmt.Printf("\n%-26s", "packets, two namespaces")
	for _, w := range wires {
		fmt.Printf(" %15s", w.name)
	}
	fmt.Printf("   %-34s %-34s\n", "eBPF by best C, by bridge", "userspace by best C, by bridge")
	for _, m := range packetMeasures {
		fmt.Printf("%-26s", m.name)
		for _, w := range wires {
			if v := median(w.results[m.name]); v > 0 {
				fmt.Printf(" %15.2f", v)
			} else {
				fmt.Printf(" %15s", "fails")
			}
		}
		lower := strings.Contains(m.name, "us")
		best := 0.0
		for _, w := range wires[2:5] {
			v := median(w.results[m.name])
			if v > 0 && (best == 0 || v > best != lower) {
				best = v
			}
		}
		bridge := median(wires[5].results[m.name])
		fmt.Print("  ")
		for i, goal := range [][2]float64{m.fast, m.slow} {
			ours := median(wires[i].results[m.name])
			fmt.Printf(" %-34s", judged(ours/best, goal[0], lower)+", "+judged(ours/bridge, goal[1], lower))
		}
		fmt.Println()
	}
	return nil
}

// judged is a ratio beside the one to reach.
func judged(ratio, goal float64, lower bool) string {
	switch {
	case goal == 0:
		return fmt.Sprintf("%.2f", ratio)
	case lower && ratio > goal, !lower && ratio < goal:
		return fmt.Sprintf("%.2f (missed %g)", ratio, goal)
	}
	return fmt.Sprintf("%.2f (%g)", ratio, goal)
}

// round sets one switch up, measures and takes it down.
func (w *wire) round() error {
	if err := w.prepare(); err != nil {
		return err
	}
	defer os.RemoveAll(w.dir)
	for i, host := range []string{"h0", "h1"} {
		for _, args := range []string{
			"ip netns add " + host,
			fmt.Sprintf("ip link add p%d type veth peer name eth0 netns %s", i, host),
			fmt.Sprintf("ip link set p%d up", i),
			fmt.Sprintf("ip -n %s link set eth0 address 02:00:00:00:00:0%d up", host, i+1),
			fmt.Sprintf("ip -n %s link set lo up", host),
			fmt.Sprintf("ip -n %s addr add 10.1.1.%d/24 dev eth0", host, i+1),
		} {
			if err := sh(args); err != nil {
				return err
			}
		}
	}
	defer func() {
		for _, args := range []string{"ip link del p0", "ip link del p1", "ip netns del h0", "ip netns del h1"} {
			_ = sh(args)
		}
	}()
	if w.txOff {
		for _, h := range []string{"h0", "h1"} {
			if err := sh("ip netns exec " + h + " ethtool -K eth0 tx off"); err != nil {
				return err
			}
		}
	}
	if err := w.up(w); err != nil {
		return err
	}
	defer w.down(w)
	if err := sh("ip netns exec h0 ping -c 20 -i 0.05 -W 5 10.1.1.2"); err != nil {
		return err
	}
	for _, m := range packetMeasures {
		v, err := m.run(w)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		w.results[m.name] = append(w.results[m.name], v)
	}
	return nil
}

// sh runs a command line of plain words.
func sh(line string) error {
	f := strings.Fields(line)
	out, err := exec.Command(f[0], f[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", line, err, out)
	}
	return nil
}

// ovs runs a command against the switch of this wire.
func (w *wire) ovs(args ...string) error {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = w.env()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

func (w *wire) env() []string {
	return append(os.Environ(), "OVS_RUNDIR="+w.dir, "OVS_LOGDIR="+w.dir, "OVS_DBDIR="+w.dir, "OVS_SYSCONFDIR="+w.dir)
}

func (w *wire) govs() error { return w.startSwitch(w.o.bin) }
func (w *wire) govsUser() error {
	return w.startSwitch(w.o.bin, "other_config:ebpf-offload=false")
}
func (w *wire) c() error { return w.startSwitch(w.o.theirs) }
func (w *wire) cTSO() error {
	return w.startSwitch(w.o.theirs, "other_config:userspace-tso-enable=true")
}
func (w *wire) db() string             { return "unix:" + filepath.Join(w.dir, "db.sock") }
func (w *wire) theirs(p string) string { return filepath.Join(w.o.theirs, p) }

// startSwitch runs database and switch from a folder of programs.
func (w *wire) startSwitch(bin string, config ...string) error {
	schema, err := filepath.Abs("schema/vswitch/vswitch.ovsschema")
	if err != nil {
		return err
	}
	vsctl := []string{w.theirs("ovs-vsctl"), "--db=" + w.db(), "--timeout=20"}
	steps := [][]string{
		{filepath.Join(bin, "ovsdb-tool"), "create", filepath.Join(w.dir, "conf.db"), schema},
		{filepath.Join(bin, "ovsdb-server"), filepath.Join(w.dir, "conf.db"), "--remote=p" + w.db(), "--detach", "--pidfile", "--log-file"},
		append(vsctl, "--no-wait", "init"),
	}
	if config != nil {
		steps = append(steps, append(append(vsctl, "--no-wait", "set", "Open_vSwitch", "."), config...))
	}
	if w.dummies {
		steps = append(steps,
			[]string{filepath.Join(bin, "ovs-vswitchd"), w.db(), "--detach", "--pidfile", "--log-file", "--enable-dummy=override"},
			append(vsctl, "add-br", "br0"))
		return w.all(steps)
	}
	steps = append(steps,
		[]string{filepath.Join(bin, "ovs-vswitchd"), w.db(), "--detach", "--pidfile", "--log-file"},
		append(vsctl, "add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "--", "add-port", "br0", "p0", "--", "add-port", "br0", "p1"))
	return w.all(steps)
}

// all runs commands one after the other.
func (w *wire) all(steps [][]string) error {
	for _, s := range steps {
		if err := w.ovs(s...); err != nil {
			return err
		}
	}
	return nil
}

// prepare makes the switch's folder.
func (w *wire) prepare() error { return os.MkdirAll(w.dir, 0o700) }

func (w *wire) stopSwitch() {
	for _, target := range []string{"ovs-vswitchd", "ovsdb-server"} {
		_ = w.ovs(w.theirs("ovs-appctl"), "-t", target, "exit")
		for range 200 {
			if _, err := os.Stat(filepath.Join(w.dir, target+".pid")); err != nil {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	for _, dev := range []string{"br0", "ovs-netdev"} { // the C switch leaves its devices to its next run
		_ = sh("ip link del " + dev)
	}
}

func (w *wire) bridge() error {
	for _, args := range []string{"ip link add br0 type bridge", "ip link set br0 up", "ip link set p0 master br0", "ip link set p1 master br0"} {
		if err := sh(args); err != nil {
			return err
		}
	}
	// Filtering is for others to measure: without it the bridge is at its best.
	if _, err := os.Stat("/proc/sys/net/bridge/bridge-nf-call-iptables"); err == nil {
		return os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-iptables", []byte("0"), 0o644)
	}
	return nil
}

func (w *wire) seconds() int { return cmp.Or(int(w.o.seconds), 3) }

// tcp is the rate of n iperf3 streams in Gbit/s; 0 when it does not get through.
func (w *wire) tcp(n int) (float64, error) {
	server := exec.Command("ip", "netns", "exec", "h1", w.theirs("iperf3"), "-s", "-1")
	if err := server.Start(); err != nil {
		return 0, err
	}
	defer func() {
		server.Process.Kill()
		server.Wait()
	}()
	for range 200 {
		out, _ := exec.Command("ip", "netns", "exec", "h1", "cat", "/proc/net/tcp", "/proc/net/tcp6").Output()
		if strings.Contains(string(out), ":1451 ") {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	out, _ := exec.Command("timeout", strconv.Itoa(w.seconds()+6), "ip", "netns", "exec", "h0", w.theirs("iperf3"),
		"-c", "10.1.1.2", "-t", strconv.Itoa(w.seconds()), "-P", strconv.Itoa(n), "-J", "--connect-timeout", "3000").Output()
	var r struct {
		End struct {
			SumReceived struct {
				BitsPerSecond float64 `json:"bits_per_second"`
			} `json:"sum_received"`
		} `json:"end"`
	}
	if json.Unmarshal(out, &r) != nil {
		return 0, nil // iperf3 says so when it does not connect
	}
	return r.End.SumReceived.BitsPerSecond / 1e9, nil
}

// kpps floods 60-byte frames and counts what arrives at the other host.
func (w *wire) kpps() (float64, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	if err := sh("ip netns exec h1 ping -c 1 -W 5 10.1.1.1"); err != nil { // the switch learns both hosts
		return 0, err
	}
	from, err := received()
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	if err := sh("ip netns exec h0 " + self + " -generate eth0 -seconds " + strconv.Itoa(w.seconds())); err != nil {
		return 0, err
	}
	took := time.Since(begin)
	to, err := received()
	if err != nil {
		return 0, err
	}
	return float64(to-from) / took.Seconds() / 1000, nil
}

func received() (uint64, error) {
	out, err := exec.Command("ip", "netns", "exec", "h1", "cat", "/proc/net/dev").Output()
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(out)) {
		if name, rest, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && name == "eth0" {
			return strconv.ParseUint(strings.Fields(rest)[1], 10, 64)
		}
	}
	return 0, fmt.Errorf("no eth0 in h1")
}

// ping is the average round trip in microseconds.
func (w *wire) ping() (float64, error) {
	out, err := exec.Command("ip", "netns", "exec", "h0", "ping", "-c", "200", "-i", "0.005", "-q", "10.1.1.2").Output()
	if err != nil {
		return 0, fmt.Errorf("ping: %w: %s", err, out)
	}
	_, rest, ok := strings.Cut(string(out), "= ")
	f := strings.Split(rest, "/")
	if !ok || len(f) < 2 {
		return 0, fmt.Errorf("ping printed %q", out)
	}
	ms, err := strconv.ParseFloat(f[1], 64)
	return ms * 1000, err
}
