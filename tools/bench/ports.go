package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"govs/datapath/engine"
	"govs/datapath/flow"
	"govs/datapath/packet"
	"govs/datapath/port/dummy"
	"govs/vswitchd/mac"
	"govs/vswitchd/xlate"
)

// manyPorts is how many ports the large switch has.
const manyPorts = 1000

// datapath measures what does not need hosts: how the engine's cost grows with
// its ports, how long a port takes to add, and its memory over time.
func datapath(o options) error {
	few, err := perPacket(10, o.rounds)
	if err != nil {
		return err
	}
	many, err := perPacket(manyPorts, o.rounds)
	if err != nil {
		return err
	}
	fmt.Printf("\n%-44s %10s %10s   %s\n", "ports (dummies, learned addresses)", "10", fmt.Sprint(manyPorts), "ratio, most")
	fmt.Printf("%-44s %10.0f %10.0f   %s\n", "a packet through the engine, ns", few, many, judged(many/few, 1.5, true))
	for _, side := range []struct{ name, bin string }{{"ovs-vsctl add-port, ms", o.bin}, {"the same with the C programs", o.theirs}} {
		tenth, last, err := addPorts(o, side.bin)
		if err != nil {
			return err
		}
		fmt.Printf("%-44s %10.1f %10.1f   %s\n", side.name, tenth, last, judged(last/tenth, 3, true))
	}
	before, after := soak(time.Duration(max(o.seconds, 180) * float64(time.Second)))
	fmt.Printf("%-44s %10.1f %10.1f   %.2f (1.2)\n", "heap in a soak, MB: first tenth, last tenth", before, after, after/before)
	return nil
}

// A mesh is an engine with dummy ports on one bridge, and a station at each.
type mesh struct {
	*engine.Engine
	ports  []*dummy.Port
	frames [][]byte // from each port's station to the next one's
	macs   *mac.Table
}

func newMesh(n int) (*mesh, error) {
	tr, pool := xlate.New(), new(packet.Pool)
	m := &mesh{Engine: engine.New(engine.Options{Translator: tr, Pool: pool})}
	m.macs = mac.New(mac.Options{Size: 4 * manyPorts}, m.Changed)
	b := &xlate.Bridge{Name: "br0", MACs: m.macs}
	for i := range n {
		name := fmt.Sprintf("p%d", i)
		p, err := dummy.New(name, dummy.Options{Queue: 4096, Pool: pool})
		if err != nil {
			return nil, err
		}
		no := flow.PortNo(i + 1)
		if err := m.AddPort(no, p); err != nil {
			return nil, err
		}
		m.ports = append(m.ports, p)
		b.Ports = append(b.Ports, &xlate.Port{Name: name, Mode: xlate.Trunk, Interfaces: []xlate.Interface{{Name: name, No: no, OFPort: uint16(no)}}})
		m.macs.Learn(mac.Sighting{MAC: station(i), Port: name}, time.Now())
		k := flow.Key{EthSrc: station(i), EthDst: station((i + 1) % n), EthType: 0x0800, Proto: 17, TTL: 64, TPSrc: 1, TPDst: 2}
		m.frames = append(m.frames, flow.Compose(&k, 18))
	}
	tr.Set(&xlate.Config{Bridges: []*xlate.Bridge{b}})
	return m, nil
}

func station(i int) (a [6]byte) {
	a[0] = 2
	binary.BigEndian.PutUint32(a[2:], uint32(i))
	return a
}

// burst is how many frames a port gets at once.
const burst = 256

// burst sends frames into a port and waits until they are out.
func (m *mesh) burst(port, n int) error {
	for range n {
		if err := m.ports[port].Receive(m.frames[port]); err != nil {
			return err
		}
	}
	return m.ports[port].Wait(context.Background())
}

// perPacket is the median time that a packet takes, in ns.
func perPacket(ports, rounds int) (float64, error) {
	m, err := newMesh(ports)
	if err != nil {
		return 0, err
	}
	defer m.Close()
	for i := range ports { // misses, and caches that grow
		if err := m.burst(i, burst); err != nil {
			return 0, err
		}
	}
	var all []float64
	const bursts = 2000
	for range max(rounds, 3) {
		start := time.Now()
		for i := range bursts {
			if err := m.burst(i%ports, burst); err != nil {
				return 0, err
			}
		}
		all = append(all, float64(time.Since(start).Nanoseconds())/(bursts*burst))
	}
	return median(all), nil
}

// soak sends packets from addresses that come and go, so that tables grow and
// age, and returns the heap in MB after a tenth of the time, and at the end.
func soak(d time.Duration) (before, after float64) {
	m, err := newMesh(16)
	if err != nil {
		return 0, 0
	}
	defer m.Close()
	m.SetMaxIdle(500 * time.Millisecond)
	heap := func() float64 {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return float64(s.HeapInuse) / (1 << 20)
	}
	start := time.Now()
	for n := 0; time.Since(start) < d; n++ {
		if before == 0 && time.Since(start) > d/10 {
			before = heap()
		}
		i := n % len(m.ports)
		f := m.frames[i]
		from := station(1000 + n%20000)
		copy(f[6:12], from[:])
		if m.burst(i, 2) != nil {
			break
		}
		if n%1000 == 0 {
			m.macs.Expire(time.Now().Add(m.macs.Options().Aging - 300*time.Millisecond))
		}
	}
	return before, heap()
}

// addPorts is how long ovs-vsctl takes to add the 10th port of a switch, and the
// last one, in ms: medians of ten around. All programs are those of one folder.
func addPorts(o options, bin string) (tenth, last float64, err error) {
	w := &wire{o: o, dir: filepath.Join(o.dir, "ports"), dummies: true}
	if err := w.prepare(); err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(w.dir)
	defer w.stopSwitch()
	if err := w.startSwitch(bin); err != nil {
		return 0, 0, err
	}
	vsctl := []string{filepath.Join(bin, "ovs-vsctl"), "--db=" + w.db(), "--timeout=60"}
	add := func(from, to int) error {
		args := vsctl
		for i := from; i < to; i++ {
			args = append(args, "--", "add-port", "br0", fmt.Sprintf("p%d", i))
		}
		return w.ovs(args...)
	}
	timed := func(from int) (float64, error) {
		var all []float64
		for i := from; i < from+10; i++ {
			start := time.Now()
			if err := add(i, i+1); err != nil {
				return 0, err
			}
			all = append(all, float64(time.Since(start).Microseconds())/1000)
		}
		return median(all), nil
	}
	if err = add(0, 5); err != nil {
		return 0, 0, err
	}
	if tenth, err = timed(5); err != nil {
		return 0, 0, err
	}
	for i := 15; i < manyPorts-10; i += 65 {
		if err = add(i, min(i+65, manyPorts-10)); err != nil {
			return 0, 0, err
		}
	}
	last, err = timed(manyPorts - 10)
	return tenth, last, err
}
