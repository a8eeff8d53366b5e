package main

import (
	"fmt"
	"net"
	"os"
	"strings"
)

// services are the parts of "-only services", in their order.
var services = []struct {
	name string
	run  func(options) error
}{
	{"tunnels", tunnels}, {"mirrors", mirrors}, {"sampling", sampling}, {"convergence", convergence}, {"qos", qos},
}

// servicesOnly runs the part that is asked for, or all of them; it says false
// where that is none of them.
func servicesOnly(o options) (bool, error) {
	found := false
	for _, s := range services {
		if o.only != "services" && o.only != s.name {
			continue
		}
		if os.Geteuid() != 0 && s.name != "qos" {
			fmt.Printf("%s: left out, they need root\n", s.name)
			continue
		}
		if !found && os.Geteuid() == 0 {
			if err := ownRun(); err != nil {
				return true, err
			}
		}
		found = true
		if err := s.run(o); err != nil {
			return true, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return found || o.only == "services", nil
}

// compare races the wires, and prints their table. Those whose names begin with
// "govs" are ours; their ratios are to the best of the C ones.
func (o options) compare(title string, wires []*wire, measures []packetMeasure) error {
	if err := o.race(wires, measures, strings.Fields(title)[0]); err != nil {
		return err
	}
	fmt.Printf("\n%-52s", title)
	var ours []*wire
	for _, w := range wires {
		fmt.Printf(" %12s", w.name)
		if strings.HasPrefix(w.name, "govs") {
			ours = append(ours, w)
		}
	}
	fmt.Print("   by best C:")
	for _, w := range ours {
		fmt.Printf(" %s;", w.name)
	}
	fmt.Println()
	for i, m := range measures {
		for j, r := range m.rows {
			k := resultKey{i, j}
			fmt.Printf("%-52s", r.name)
			best := 0.0
			for _, w := range wires {
				v := median(w.results[k])
				if v > 0 || r.lower {
					fmt.Printf(" %12.2f", v)
				} else {
					fmt.Printf(" %12s", "fails")
				}
				if !strings.HasPrefix(w.name, "govs") && v > 0 && (best == 0 || v > best != r.lower) {
					best = v
				}
			}
			fmt.Print("  ")
			for _, w := range ours {
				if best > 0 {
					fmt.Printf(" %.2f", median(w.results[k])/best)
				} else {
					fmt.Print(" -")
				}
			}
			fmt.Println()
		}
	}
	return nil
}

// switches are the ways to run a switch that services are measured with.
func switches() []*wire {
	return []*wire{
		{name: "govs, eBPF", up: (*wire).govs, down: (*wire).stopSwitch},
		{name: "govs, user", up: (*wire).govsUser, down: (*wire).stopSwitch},
		{name: "C, tx off", up: (*wire).c, down: (*wire).stopSwitch, txOff: true},
	}
}

// remaining measures without and with a setting: both rates, and what remains,
// in percent.
func (w *wire) remaining(measure func() ([]float64, error), on, off []string) ([]float64, error) {
	without, err := measure()
	if err != nil {
		return nil, err
	}
	if err := w.change(on); err != nil {
		return nil, err
	}
	with, err := measure()
	if err != nil {
		return nil, err
	}
	if err := w.change(off); err != nil {
		return nil, err
	}
	return []float64{without[0], with[0], 100 * with[0] / without[0]}, nil
}

// change runs ovs-vsctl, and has all packets be looked at anew: the C switch
// keeps to the megaflows that it has when a mirror is made.
func (w *wire) change(words []string) error {
	if err := w.ovs(w.vsctl(words...)...); err != nil {
		return err
	}
	if err := w.ovs(w.theirs("ovs-appctl"), "-t", "ovs-vswitchd", "dpctl/del-flows"); err != nil {
		return err
	}
	return sh("ip netns exec h0 ping -c 5 -i 0.05 -W 5 10.1.1.2")
}

func (w *wire) oneStream() ([]float64, error)   { return w.tcp(1, 1) }
func (w *wire) smallFrames() ([]float64, error) { return w.flood(1, 1, w.length()) }

// loads are what runs through a switch while a service is on.
var loads = []struct {
	name string
	run  func(*wire) ([]float64, error)
}{
	{"TCP, 1 stream, Gbit/s", (*wire).oneStream}, {"60-byte frames, kpps", (*wire).smallFrames},
}

// mirrors measures what a mirror of all packets to another host's port costs.
func mirrors(o options) error {
	var measures []packetMeasure
	for _, l := range loads {
		measures = append(measures, packetMeasure{
			[]packetRow{{name: l.name}, {name: "  with a mirror of all packets"}, {name: "  what remains, %"}},
			func(w *wire) ([]float64, error) {
				return w.remaining(func() ([]float64, error) { return l.run(w) },
					[]string{"--", "--id=@p", "get", "Port", "p3", "--", "--id=@m", "create", "Mirror", "name=m", "select_all=true", "output_port=@p", "--", "set", "Bridge", "br0", "mirrors=@m"},
					[]string{"clear", "Bridge", "br0", "mirrors"})
			},
		})
	}
	return o.compare("mirrors between namespaces", switches(), measures)
}

// sampling measures what exporters cost.
func sampling(o options) error {
	collector, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer collector.Close()
	go func() {
		for b := make([]byte, 65536); ; {
			if _, _, err := collector.ReadFrom(b); err != nil {
				return
			}
		}
	}()
	target := fmt.Sprintf("targets=\"%s\"", collector.LocalAddr())
	var measures []packetMeasure
	for _, x := range []struct {
		name, column string
		row          []string
	}{
		{"sFlow, 1 of 1,000", "sflow", []string{"sFlow", "agent=lo", "sampling=1000"}},
		{"sFlow, 1 of 64", "sflow", []string{"sFlow", "agent=lo", "sampling=64"}},
		{"IPFIX, 1 of 1,000", "ipfix", []string{"IPFIX", "sampling=1000", "obs_domain_id=1", "obs_point_id=2"}},
		{"NetFlow", "netflow", []string{"NetFlow", "active_timeout=1"}},
	} {
		for _, l := range loads {
			on := append(append([]string{"--", "--id=@x", "create"}, x.row...), target, "--", "set", "Bridge", "br0", x.column+"=@x")
			measures = append(measures, packetMeasure{
				[]packetRow{{name: l.name}, {name: "  with " + x.name}, {name: "  what remains, %"}},
				func(w *wire) ([]float64, error) {
					return w.remaining(func() ([]float64, error) { return l.run(w) }, on, []string{"clear", "Bridge", "br0", x.column})
				},
			})
		}
	}
	return o.compare("sampling between namespaces", switches(), measures)
}
