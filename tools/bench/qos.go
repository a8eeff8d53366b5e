package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"govs/datapath/action"
	"govs/datapath/engine"
	"govs/datapath/flow"
	"govs/datapath/packet"
	"govs/datapath/port/dummy"
	"govs/datapath/shape"
)

// qosRates are the rates of the port, in bits a second.
var qosRates = []uint64{10e6, 50e6, 1e9}

// qosRows are what is measured at each of them.
var qosRows = []packetRow{{name: "TCP, % of what the rate allows"}, {name: "UDP, % of what the rate allows"}, {name: "  CPU of the switch under UDP, %", lower: true},
	{name: "ping in the loaded queue, median, ms", lower: true}, {name: "  99 of 100, ms", lower: true}}

// qos compares how ports with QoS keep their rate, and prints the table: our
// own schedulers, what we leave to the kernel, and the C switch, which leaves
// all of it to the kernel.
func qos(o options) error {
	half, late, rate, err := highClass(time.Duration(max(o.seconds, 3) * float64(time.Second)))
	if err != nil {
		return err
	}
	fmt.Printf("\nhigh class beside a full queue on a port of 50 Mbit/s (dummies): waits %.2f ms, 99 of 100 below %.2f ms; the port has %.1f Mbit/s\n", half, late, rate)
	if os.Geteuid() != 0 {
		fmt.Println("QoS between hosts: left out, it needs root")
		return nil
	}
	own := []string{"queues:1=@a", "--", "--id=@a", "create", "Queue", "dscp=0"} // a queue that marks is ours
	wires := []*wire{
		{name: "govs", up: (*wire).govs, down: (*wire).stopSwitch},
		{name: "govs, own", up: (*wire).govs, down: (*wire).stopSwitch, queues: own},
		{name: "C, tx off", up: (*wire).c, down: (*wire).stopSwitch, txOff: true},
	}
	var measures []packetMeasure
	for _, r := range qosRates {
		var rows []packetRow
		for _, row := range qosRows {
			row.name = fmt.Sprintf("%4d Mbit/s: %s", r/1e6, row.name)
			rows = append(rows, row)
		}
		measures = append(measures, packetMeasure{rows, func(w *wire) ([]float64, error) { return w.shaped(r) }})
	}
	return o.compare("QoS linux-htb between namespaces", wires, measures)
}

// shaped gives the second host's port a rate, and measures qosRows.
func (w *wire) shaped(rate uint64) ([]float64, error) {
	row := append([]string{"--", "--id=@q", "create", "QoS", "type=linux-htb", fmt.Sprintf("other_config:max-rate=%d", rate)}, w.queues...)
	if err := w.ovs(append(w.vsctl("set", "Port", "p1", "qos=@q"), row...)...); err != nil {
		return nil, err
	}
	defer w.ovs(w.vsctl("clear", "Port", "p1", "qos")...)
	// The data of a frame of 1514 bytes are 1448 of them.
	allowed := float64(rate) * 1448 / 1514
	tcp, err := w.iperf("-O", "1")
	if err != nil {
		return nil, err
	}
	pid, err := os.ReadFile(filepath.Join(w.dir, "ovs-vswitchd.pid"))
	if err != nil {
		return nil, err
	}
	busy, begin := processTime(strings.TrimSpace(string(pid))), time.Now()
	udp, err := w.iperf("-u", "-l", "1448", "-b", strconv.FormatUint(rate*3/2, 10))
	if err != nil {
		return nil, err
	}
	cpu := (processTime(strings.TrimSpace(string(pid))) - busy).Seconds() / time.Since(begin).Seconds()
	// A frame of UDP data has 24 bytes less of headers than one of TCP's.
	udpAllowed := float64(rate) * 1448 / (1448 + 42)

	loaded := make(chan error, 1)
	go func() {
		_, err := w.iperf()
		loaded <- err
	}()
	time.Sleep(500 * time.Millisecond)
	waits, err := w.pings(100, "0.01")
	if e := <-loaded; err == nil {
		err = e
	}
	if err != nil {
		return nil, err
	}
	return []float64{tcp / allowed * 100, udp / udpAllowed * 100, cpu * 100, waits[len(waits)/2] / 1000, waits[len(waits)*99/100] / 1000}, nil
}

// iperf is the rate in bits a second that arrives at the second host.
func (w *wire) iperf(args ...string) (float64, error) {
	server := exec.Command("ip", "netns", "exec", "h1", w.theirs("iperf3"), "-s", "-1")
	if err := server.Start(); err != nil {
		return 0, err
	}
	defer func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	}()
	for range 200 {
		out, _ := exec.Command("ip", "netns", "exec", "h1", "cat", "/proc/net/tcp", "/proc/net/tcp6").Output()
		if strings.Contains(string(out), ":1451 ") {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	args = append([]string{strconv.Itoa(w.seconds() + 10), "ip", "netns", "exec", "h0", w.theirs("iperf3"), "-c", "10.1.1.2", "-t", strconv.Itoa(w.seconds()), "-J"}, args...)
	out, err := exec.Command("timeout", args...).Output()
	type sum struct {
		BitsPerSecond float64 `json:"bits_per_second"`
		LostPercent   float64 `json:"lost_percent"`
	}
	var r struct {
		Error string
		End   struct {
			SumReceived sum `json:"sum_received"`
			Sum         sum // of UDP
		}
	}
	if e := json.Unmarshal(out, &r); e != nil || r.Error != "" {
		return 0, fmt.Errorf("iperf3: %v %v %s", err, e, r.Error)
	}
	if got := r.End.SumReceived.BitsPerSecond; got > 0 {
		return got, nil
	}
	return r.End.Sum.BitsPerSecond * (1 - r.End.Sum.LostPercent/100), nil
}

// processTime is the processor time of a process so far.
func processTime(pid string) time.Duration {
	text, _ := os.ReadFile("/proc/" + pid + "/stat")
	_, rest, _ := strings.Cut(string(text), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// A sink is a port that notes how long frames took whose time stands in them.
type sink struct {
	*dummy.Port
	begin time.Time

	mu    sync.Mutex
	waits []float64 // ms
	bytes int
}

// stampAt is where a frame has its time, in ns; other frames have 0 there.
const stampAt = 60

func (s *sink) Send(b *packet.Batch) error {
	now := time.Since(s.begin)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range b.Packets {
		s.bytes += p.Len()
		if at := binary.BigEndian.Uint64(p.Bytes()[stampAt:]); at != 0 {
			s.waits = append(s.waits, (now-time.Duration(at)).Seconds()*1000)
		}
	}
	return nil
}

// choosing sends what enters by a port to the queue of that number.
type choosing struct{ out flow.PortNo }

func (c choosing) Translate(req *engine.Request, res *engine.Result) {
	res.Actions = append(res.Actions, action.SetPriority{Queue: uint32(req.Key.InPort)}, action.Output{Port: c.out})
}

// highClass floods a queue of a port of 50 Mbit/s, and sends a small frame a
// millisecond by one of higher priority: how long those take, in ms, in the
// median and 99 of 100, and the port's rate in Mbit/s.
func highClass(d time.Duration) (median, late, rate float64, err error) {
	const bits = 50e6
	e := engine.New(engine.Options{Translator: choosing{3}})
	defer e.Close()
	var in [2]*dummy.Port
	for i := range in {
		if in[i], err = dummy.New(fmt.Sprintf("in%d", i+1), dummy.Options{Queue: 1000}); err != nil {
			return 0, 0, 0, err
		}
		if err = e.AddPort(flow.PortNo(i+1), in[i]); err != nil {
			return 0, 0, 0, err
		}
	}
	p, err := dummy.New("out", dummy.Options{})
	if err != nil {
		return 0, 0, 0, err
	}
	out := &sink{Port: p, begin: time.Now()}
	if err = e.AddPort(3, out); err != nil {
		return 0, 0, 0, err
	}
	if err = e.SetShaper(3, &shape.Config{MTU: 1514, Rate: bits, Queues: []shape.Queue{
		{DSCP: -1}, {ID: 1, Priority: 5, Burst: 1564, DSCP: -1}, {ID: 2, Min: 2e6, Burst: 1564, DSCP: -1}}}); err != nil {
		return 0, 0, 0, err
	}
	low := flow.Key{EthType: 0x88b5}
	low.EthSrc[5], low.EthDst[5] = 1, 2
	big, small := flow.Compose(&low, 1500), flow.Compose(&low, 86)
	clear(big[stampAt : stampAt+8])
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	sent := 0.0
	for now := time.Duration(0); now < d; {
		<-tick.C
		now = time.Since(out.begin)
		for ; sent < now.Seconds()*bits*1.5; sent += float64(len(big) * 8) {
			_ = in[0].Receive(big) // what does not fit is lost, as it should be
		}
		binary.BigEndian.PutUint64(small[stampAt:], uint64(max(1, time.Since(out.begin))))
		_ = in[1].Receive(small)
	}
	took := time.Since(out.begin)
	out.mu.Lock()
	defer out.mu.Unlock()
	if len(out.waits) == 0 {
		return 0, 0, 0, fmt.Errorf("no frame of the high class arrived")
	}
	slices.Sort(out.waits)
	return out.waits[len(out.waits)/2], out.waits[len(out.waits)*99/100], float64(out.bytes*8) / took.Seconds() / 1e6, nil
}
