package apply_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"syscall"
	"testing"

	"govs/datapath/flow"
	"govs/datapath/port"
	"govs/datapath/port/dummy"
	"govs/vswitchd/apply"
	"govs/vswitchd/desired"
	"govs/vswitchd/model/modeltest"
	"govs/vswitchd/plan"
	"govs/vswitchd/qos"
)

// TestTranscripts reads testdata: database lines (package modeltest) and
//
//	apply             prints the plan, carries it out, prints what was logged
//	show              prints what runs
//	break NAME        opening the device fails (ENODEV) until "mend NAME"
//	device NAME MAC   the address of the device
//	vanish NAME       the device goes
func TestTranscripts(t *testing.T) {
	modeltest.Transcripts(t, func(t *testing.T) func(string) string {
		w := newWorld(t)
		return w.do
	})
}

// A world is a switch without devices, and its database.
type world struct {
	db      *modeltest.DB
	applier *apply.Applier
	broken  map[string]bool
	macs    map[string]net.HardwareAddr
	log     strings.Builder
	ports   map[flow.PortNo]port.Port
}

func newWorld(t *testing.T) *world {
	w := &world{db: modeltest.New()}
	w.reset()
	t.Cleanup(func() {
		w.applier.Close()
		if len(w.ports) != 0 {
			t.Errorf("ports that were not closed: %v", w.ports)
		}
	})
	return w
}

func (w *world) reset() {
	w.broken = make(map[string]bool)
	w.macs = make(map[string]net.HardwareAddr)
	w.ports = make(map[flow.PortNo]port.Port)
	w.applier = apply.New(apply.Options{
		Datapath: w, Opener: w,
		Learned: func() {},
		Log:     slog.New(handler{&w.log}),
	})
}

func (w *world) do(command string) string {
	w.log.Reset()
	f := strings.Fields(command)
	switch f[0] {
	case "apply":
		want := desired.From(w.db.Snapshot(), desired.Options{})
		steps := plan.Make(w.applier.Switch, want)
		var b strings.Builder
		for _, s := range steps {
			fmt.Fprintf(&b, "%s\n", s)
		}
		if !w.applier.Apply(steps, want) && len(steps) > 0 {
			b.WriteString("(packets go where they went)\n")
		}
		return b.String() + w.log.String()
	case "show":
		return w.show()
	case "break":
		w.broken[f[1]] = true
	case "mend":
		delete(w.broken, f[1])
	case "device":
		w.macs[f[1]], _ = net.ParseMAC(f[2])
	case "vanish":
		b, i := w.applier.Switch.Find(f[1])
		w.broken[f[1]] = true
		w.applier.Lost(b, i)
		return w.log.String()
	default:
		if err := w.db.Do(command); err != nil {
			return "error: " + err.Error() + "\n"
		}
	}
	return ""
}

func (w *world) show() string {
	var b strings.Builder
	for _, br := range w.applier.Switch.Sorted() {
		fmt.Fprintf(&b, "bridge %s mac %s id %s\n", br.Want.Name, br.MAC, br.DatapathID)
		for _, i := range br.Sorted() {
			fmt.Fprintf(&b, "  %s ofport %d no %d", i.Want.Name, i.OFPort, i.No)
			if i.Port != nil {
				s := i.Port.State()
				fmt.Fprintf(&b, " mac %s mtu %d", s.MAC, s.MTU)
			}
			if i.Err != "" {
				fmt.Fprintf(&b, " ERROR %s", i.Err)
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

// Open implements apply.Opener.
func (w *world) Open(i *desired.Interface, s apply.Settings) (port.Port, error) {
	if w.broken[i.Name] {
		return nil, fmt.Errorf("open %s: %w", i.Name, syscall.ENODEV)
	}
	mac := s.MAC
	if i.Kind == desired.System {
		mac = w.macs[i.Name]
	}
	return dummy.New(i.Name, dummy.Options{MAC: mac, MTU: s.MTU})
}

// Add, Remove, PortStats, Police and Shape implement apply.Datapath.
func (w *world) Add(p port.Port, _ flow.PortNo) (flow.PortNo, error) {
	no := flow.PortNo(1)
	for w.ports[no] != nil {
		no++
	}
	w.ports[no] = p
	return no, nil
}

func (w *world) Remove(no flow.PortNo) {
	_ = w.ports[no].Close()
	delete(w.ports, no)
}

func (w *world) PortStats(no flow.PortNo) (port.Stats, error) { return w.ports[no].Stats(), nil }

func (w *world) Police(no flow.PortNo, p qos.Policing) error {
	fmt.Fprintf(&w.log, "  policing port %d: %s\n", no, p)
	return nil
}

func (w *world) Shape(no flow.PortNo, e *qos.Egress) (string, error) {
	fmt.Fprintf(&w.log, "  shaping port %d: %s\n", no, e)
	return "the test", nil
}

// handler writes messages of level Info and above, indented.
type handler struct{ to *strings.Builder }

func (h handler) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }
func (h handler) WithAttrs([]slog.Attr) slog.Handler           { return h }
func (h handler) WithGroup(string) slog.Handler                { return h }
func (h handler) Handle(_ context.Context, r slog.Record) error {
	fmt.Fprintf(h.to, "  %s: %s\n", r.Level, r.Message)
	return nil
}

// TestSettled says that a plan leads where it should, whatever changes: after
// it was carried out nothing is left to do but to try again what failed; no
// number is given twice; and everything that is wanted and can be is open.
func TestSettled(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	line := func() string {
		bridge := pick("br0", "br1", "br2")
		name := pick("p1", "p2", "p3", "p4", "p5", bridge)
		switch r.IntN(12) {
		case 0:
			return "bridge " + bridge + pick("", " datapath_type=netdev", " datapath_type=magic", " flood_vlans=3")
		case 1, 2, 3:
			return "port " + bridge + " " + name + pick("", " tag=10", " trunks=1,2", " vlan_mode=dot1q-tunnel")
		case 4, 5:
			return "iface " + name + " type=" + pick("internal", "tap", "patch", "system", "magic")
		case 6:
			return "iface " + name + " options:peer=" + pick("p1", "p2", "[]")
		case 7, 8:
			return "iface " + name + " ofport_request=" + pick("1", "2", "3", "[]")
		case 9:
			return pick("break ", "mend ") + name
		case 10:
			return "iface " + name + pick(" ingress_policing_rate=5", " mtu_request=1400", " mac=02:00:00:00:00:09")
		}
		return "del " + pick(name, name, bridge)
	}
	w := newWorld(t)
	for range 3000 {
		command := line()
		if out := w.do(command); out != "" {
			t.Fatal(command, ": ", out)
		}
		if r.IntN(3) > 0 {
			continue
		}
		w.do("apply")
		want := desired.From(w.db.Snapshot(), desired.Options{})
		for _, step := range plan.Make(w.applier.Switch, want) {
			switch s := step.(type) {
			case plan.Refuse, plan.RefuseBridge: // said again every time
			case plan.AddInterface:
				if !s.Retry || !w.broken[s.Want.Name] {
					t.Fatalf("after %q there is left: %s", command, s)
				}
			default:
				t.Fatalf("after %q there is left: %s", command, s)
			}
		}
		for _, b := range w.applier.Switch.Bridges {
			numbers := make(map[int]string)
			for name, i := range b.Ifaces {
				if other := numbers[i.OFPort]; i.OFPort != 0 && other != "" {
					t.Fatalf("after %q: %s and %s both have number %d", command, name, other, i.OFPort)
				}
				numbers[i.OFPort] = name
				if !i.Open() && !w.broken[name] {
					t.Fatalf("after %q: %s is not open: %s", command, name, i.Err)
				}
			}
		}
	}
}
