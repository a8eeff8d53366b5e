package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A wire is a switch under test: two hosts hang on it.
type wire struct {
	name    string
	up      func(w *wire) error // makes the switch, with ports p0 and p1
	down    func(w *wire)
	txOff   bool     // the hosts' offloads are off
	dummies bool     // ports are dummies, and there are none to begin with
	bare    bool     // there are no bridges to begin with
	ends    []func() // what ends with the switch
	o       options
	dir     string
	results map[resultKey][]float64

	measures []packetMeasure
	queues   []string // that go with a QoS row, for ovs-vsctl
	pairs    int      // of hosts that the switch connects; 0 is all
	ns       string   // the switch's network namespace, "" for the bench's
	far      *wire    // the switch at the other end of cables, if there is one
}

// A packetRow is a row of the table, with the ratios to reach: by the best C way
// and by the Linux bridge, with the flow cache and without; 0 for none.
type packetRow struct {
	name       string
	lower      bool // less is better
	fast, slow [2]float64
}

// A packetMeasure gives the figures of some rows, in their order.
type packetMeasure struct {
	rows []packetRow
	run  func(*wire) ([]float64, error)
}

var packetMeasures = []packetMeasure{
	{[]packetRow{{name: "TCP, 1 stream, Gbit/s", fast: [2]float64{1.2, 0.9}, slow: [2]float64{1.0, 0.65}}},
		func(w *wire) ([]float64, error) { return w.tcp(1, 1) }},
	{[]packetRow{{name: "TCP, 4 streams, Gbit/s", fast: [2]float64{1.6, 0.9}, slow: [2]float64{1.2, 0.4}}},
		func(w *wire) ([]float64, error) { return w.tcp(1, 4) }},
	{[]packetRow{{name: "TCP, 4 ports, 2 streams, Gbit/s"}},
		func(w *wire) ([]float64, error) { return w.tcp(2, 1) }},
	{[]packetRow{{name: "60-byte frames, kpps", fast: [2]float64{2, 1.2}, slow: [2]float64{1.5, 0.9}}, {name: "  CPU a frame, ns", lower: true}},
		func(w *wire) ([]float64, error) { return w.flood(1, 1, w.length()) }},
	{[]packetRow{{name: "60-byte frames, 4 ports, kpps"}, {name: "  CPU a frame, ns", lower: true}},
		func(w *wire) ([]float64, error) { return w.flood(2, 1, w.length()) }},
	{[]packetRow{{name: "live frames, 1 flow, kpps", fast: [2]float64{3.5, 0}, slow: [2]float64{2, 0.7}}, {name: "  CPU a frame, ns", lower: true}},
		func(w *wire) ([]float64, error) { return w.live(1) }},
	{[]packetRow{{name: "live frames, 1,000 flows, kpps"}, {name: "  CPU a frame, ns", lower: true}},
		func(w *wire) ([]float64, error) { return w.live(1000) }},
	{[]packetRow{{name: "live frames, 50,000 flows, kpps"}, {name: "  CPU a frame, ns", lower: true}},
		func(w *wire) ([]float64, error) { return w.live(50000) }},
	{[]packetRow{{name: "ping round trip, median, us", lower: true, fast: [2]float64{0.3, 1.1}}, {name: "  99 of 100, us", lower: true}},
		(*wire).ping},
	// Last, as it fills the tables.
	{[]packetRow{{name: "new flows, thousands a second"}},
		func(w *wire) ([]float64, error) {
			f, err := w.flood(1, newFlows, time.Second)
			return f[:1], err
		}},
}

// newFlows is more flows than frames are sent in a second.
const newFlows = 1 << 24

// hosts is how many hosts hang on a switch.
const hosts = 4

// packets compares the switches and prints the table.
func packets(o options) error {
	if err := ownRun(); err != nil {
		return err
	}
	wires := []*wire{
		{name: "govs, eBPF", up: (*wire).govs, down: (*wire).stopSwitch},
		{name: "govs, userspace", up: (*wire).govsUser, down: (*wire).stopSwitch},
		{name: "C, tx off", up: (*wire).c, down: (*wire).stopSwitch, txOff: true},
		{name: "C, tso-enable", up: (*wire).cTSO, down: (*wire).stopSwitch},
		{name: "C, default", up: (*wire).c, down: (*wire).stopSwitch},
		{name: "Linux bridge", up: (*wire).bridge, down: func(*wire) { _ = sh("ip link del br0") }},
	}
	if err := o.race(wires, packetMeasures, "wire"); err != nil {
		return err
	}
	fmt.Printf("\n%-32s", "packets between namespaces")
	for _, w := range wires {
		fmt.Printf(" %15s", w.name)
	}
	fmt.Printf("   %-40s %-40s\n", "eBPF by best C, by bridge", "userspace by best C, by bridge")
	for i, m := range packetMeasures {
		for j, r := range m.rows {
			r.print(wires, resultKey{i, j})
		}
	}
	return nil
}

// race has all wires measure in turn, round after round, each in a folder of
// its own.
func (o options) race(wires []*wire, measures []packetMeasure, folder string) error {
	for i, w := range wires {
		w.o, w.results, w.measures = o, map[resultKey][]float64{}, measures
		w.dir = filepath.Join(o.dir, fmt.Sprint(folder, i))
	}
	for range o.rounds {
		for _, w := range wires {
			if err := w.round(); err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
		}
	}
	return nil
}

// ownRun gives the bench a /run and a /sys of its own.
func ownRun() error {
	for _, args := range []string{"mount -t tmpfs tmpfs /run", "mkdir -p /run/netns", "mount -t sysfs sysfs /sys", "ip link set lo up"} {
		if err := sh(args); err != nil {
			return err
		}
	}
	return nil
}

// A resultKey is a measure and one of its rows.
type resultKey struct{ measure, row int }

// print prints the row: what each switch did, and our ratios.
func (r packetRow) print(wires []*wire, k resultKey) {
	fmt.Printf("%-32s", r.name)
	for _, w := range wires {
		if v := median(w.results[k]); v > 0 {
			fmt.Printf(" %15.2f", v)
		} else {
			fmt.Printf(" %15s", "fails")
		}
	}
	best := 0.0
	for _, w := range wires[2:5] {
		v := median(w.results[k])
		if v > 0 && (best == 0 || v > best != r.lower) {
			best = v
		}
	}
	bridge := median(wires[5].results[k])
	fmt.Print("  ")
	for i, goal := range [][2]float64{r.fast, r.slow} {
		ours := median(wires[i].results[k])
		fmt.Printf(" %-40s", judged(ours/best, goal[0], r.lower)+", "+judged(ours/bridge, goal[1], r.lower))
	}
	fmt.Println()
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
	for i := range hosts {
		host := fmt.Sprintf("h%d", i)
		for _, args := range []string{
			"ip netns add " + host,
			fmt.Sprintf("ip link add p%d type veth peer name eth0 netns %s", i, host),
			fmt.Sprintf("ip link set p%d up", i),
			fmt.Sprintf("ip -n %s link set eth0 address %s up", host, hostAddress(i)),
			fmt.Sprintf("ip -n %s link set lo up", host),
			fmt.Sprintf("ip -n %s addr add 10.1.1.%d/24 dev eth0", host, i+1),
		} {
			if err := sh(args); err != nil {
				return err
			}
		}
	}
	defer func() {
		for i := range hosts {
			_ = sh(fmt.Sprintf("ip link del p%d", i))
			_ = sh(fmt.Sprintf("ip netns del h%d", i))
		}
	}()
	if w.txOff {
		for i := range hosts {
			if err := sh(fmt.Sprintf("ip netns exec h%d ethtool -K eth0 tx off", i)); err != nil {
				return err
			}
		}
	}
	if err := w.up(w); err != nil {
		return err
	}
	defer w.down(w)
	for i, m := range w.measures {
		for pair := range cmp.Or(w.pairs, hosts/2) { // the switch learns the hosts
			if err := sh(fmt.Sprintf("ip netns exec h%d ping -c 5 -i 0.05 -W 5 10.1.1.%d", 2*pair, 2*pair+2)); err != nil {
				return err
			}
		}
		v, err := m.run(w)
		if err != nil {
			return fmt.Errorf("%s: %w", m.rows[0].name, err)
		}
		for j := range m.rows {
			k := resultKey{i, j}
			w.results[k] = append(w.results[k], v[j])
		}
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
	if w.ns != "" {
		args = append([]string{"ip", "netns", "exec", w.ns}, args...)
	}
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

// vsctl is an ovs-vsctl command line for the switch, to be continued.
func (w *wire) vsctl(args ...string) []string {
	return append([]string{w.theirs("ovs-vsctl"), "--db=" + w.db(), "--timeout=20"}, args...)
}

// startSwitch runs database and switch from a folder of programs.
func (w *wire) startSwitch(bin string, config ...string) error {
	schema, err := filepath.Abs("schema/vswitch/vswitch.ovsschema")
	if err != nil {
		return err
	}
	vsctl := w.vsctl()
	steps := [][]string{
		{filepath.Join(bin, "ovsdb-tool"), "create", filepath.Join(w.dir, "conf.db"), schema},
		{filepath.Join(bin, "ovsdb-server"), filepath.Join(w.dir, "conf.db"), "--remote=p" + w.db(), "--detach", "--pidfile", "--log-file"},
		append(vsctl, "--no-wait", "init"),
	}
	if config != nil {
		steps = append(steps, append(append(vsctl, "--no-wait", "set", "Open_vSwitch", "."), config...))
	}
	if w.bare {
		return w.all(append(steps, []string{filepath.Join(bin, "ovs-vswitchd"), w.db(), "--detach", "--pidfile", "--log-file"}))
	}
	if w.dummies {
		steps = append(steps,
			[]string{filepath.Join(bin, "ovs-vswitchd"), w.db(), "--detach", "--pidfile", "--log-file", "--enable-dummy=override"},
			append(vsctl, "add-br", "br0"))
		return w.all(steps)
	}
	steps = append(steps,
		[]string{filepath.Join(bin, "ovs-vswitchd"), w.db(), "--detach", "--pidfile", "--log-file"},
		append(vsctl, "add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "other_config:mac-table-size=100000"))
	for i := range hosts {
		steps[len(steps)-1] = append(steps[len(steps)-1], "--", "add-port", "br0", fmt.Sprintf("p%d", i))
	}
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
	steps := []string{"ip link add br0 type bridge", "ip link set br0 up"}
	for i := range hosts {
		steps = append(steps, fmt.Sprintf("ip link set p%d master br0", i))
	}
	for _, args := range steps {
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

func (w *wire) seconds() int          { return cmp.Or(int(w.o.seconds), 3) }
func (w *wire) length() time.Duration { return time.Duration(w.seconds()) * time.Second }

// tcp is the rate in Gbit/s of so many iperf3 streams between each of so many
// pairs of hosts; 0 when they do not get through.
func (w *wire) tcp(pairs, streams int) ([]float64, error) {
	for pair := range pairs {
		host := fmt.Sprintf("h%d", 2*pair+1)
		server := exec.Command("ip", "netns", "exec", host, w.theirs("iperf3"), "-s", "-1")
		if err := server.Start(); err != nil {
			return nil, err
		}
		defer func() {
			server.Process.Kill()
			server.Wait()
		}()
		for range 200 {
			out, _ := exec.Command("ip", "netns", "exec", host, "cat", "/proc/net/tcp", "/proc/net/tcp6").Output()
			if strings.Contains(string(out), ":1451 ") {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	rates := make(chan float64)
	for pair := range pairs {
		go func() {
			out, _ := exec.Command("timeout", strconv.Itoa(w.seconds()+6), "ip", "netns", "exec", fmt.Sprintf("h%d", 2*pair), w.theirs("iperf3"),
				"-c", fmt.Sprintf("10.1.1.%d", 2*pair+2), "-t", strconv.Itoa(w.seconds()), "-P", strconv.Itoa(streams), "-J", "--connect-timeout", "3000").Output()
			var r struct {
				End struct {
					SumReceived struct {
						BitsPerSecond float64 `json:"bits_per_second"`
					} `json:"sum_received"`
				} `json:"end"`
			}
			_ = json.Unmarshal(out, &r) // iperf3 says so when it does not connect
			rates <- r.End.SumReceived.BitsPerSecond / 1e9
		}()
	}
	sum := 0.0
	for range pairs {
		sum += <-rates
	}
	return []float64{sum}, nil
}

// flood sends 60-byte frames of so many flows between each of so many pairs of
// hosts: what arrives, in kpps, and the machine's processor time for a frame.
func (w *wire) flood(pairs, flows int, length time.Duration) ([]float64, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return w.arriving(pairs, func() error {
		failed := make(chan error)
		for pair := range pairs {
			go func() {
				failed <- sh(fmt.Sprintf("ip netns exec h%d %s -generate eth0 -to %d -flows %d -seconds %g",
					2*pair, self, 2*pair+2, flows, length.Seconds()))
			}()
		}
		var all error
		for range pairs {
			all = errors.Join(all, <-failed)
		}
		return all
	})
}

// live has the kernel receive frames of so many flows on the port of the first
// host, without a sender.
func (w *wire) live(flows int) ([]float64, error) {
	return w.arriving(1, func() error { return liveFrames("p0", flows, w.length()) })
}

// arriving runs a load: what arrives meanwhile at the second host of each pair,
// in kpps, and the processor time of the whole machine for each frame, in ns.
func (w *wire) arriving(pairs int, load func() error) ([]float64, error) {
	count := func() (sum uint64, err error) {
		for pair := range pairs {
			n, err := received(fmt.Sprintf("h%d", 2*pair+1))
			if err != nil {
				return 0, err
			}
			sum += n
		}
		return sum, nil
	}
	from, err := count()
	if err != nil {
		return nil, err
	}
	busy, begin := busyTime(), time.Now()
	if err := load(); err != nil {
		return nil, err
	}
	took := time.Since(begin)
	busy = busyTime() - busy
	to, err := count()
	if err != nil {
		return nil, err
	}
	frames := float64(to - from)
	return []float64{frames / took.Seconds() / 1000, float64(busy.Nanoseconds()) / max(frames, 1)}, nil
}

// busyTime is the time that the machine's processors were not idle, in steps of
// 10 ms (proc_stat(5)).
func busyTime() time.Duration {
	text, _ := os.ReadFile("/proc/stat")
	f := strings.Fields(string(text))
	if len(f) < 8 {
		return 0
	}
	var sum time.Duration
	for _, i := range []int{1, 2, 3, 6, 7} { // user, nice, system, irq, softirq
		n, _ := strconv.Atoi(f[i])
		sum += time.Duration(n) * 10 * time.Millisecond
	}
	return sum
}

// received is how many packets the host's device has received.
func received(host string) (uint64, error) {
	out, err := exec.Command("ip", "netns", "exec", host, "cat", "/proc/net/dev").Output()
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(out)) {
		if name, rest, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && name == "eth0" {
			return strconv.ParseUint(strings.Fields(rest)[1], 10, 64)
		}
	}
	return 0, fmt.Errorf("no eth0 in %s", host)
}

// ping is the round trip in microseconds: the median, and what 99 of 100 stay below.
func (w *wire) ping() ([]float64, error) {
	all, err := w.pings(1000, "0.002")
	if err != nil {
		return nil, err
	}
	return []float64{all[len(all)/2], all[len(all)*99/100]}, nil
}

// pings are so many round trips in microseconds, sorted.
func (w *wire) pings(n int, interval string) ([]float64, error) {
	out, err := exec.Command("ip", "netns", "exec", "h0", "ping", "-c", strconv.Itoa(n), "-i", interval, "10.1.1.2").Output()
	if err != nil {
		return nil, fmt.Errorf("ping: %w: %s", err, out)
	}
	var all []float64
	for line := range strings.Lines(string(out)) {
		if _, rest, ok := strings.Cut(line, " time="); ok {
			ms, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			if err != nil {
				return nil, err
			}
			all = append(all, ms*1000)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("ping printed %q", out)
	}
	slices.Sort(all)
	return all, nil
}
