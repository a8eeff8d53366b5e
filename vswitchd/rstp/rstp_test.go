package rstp

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"govs/vswitchd/bpdu"
	"govs/vswitchd/model/modeltest"
)

// TestTranscripts reads testdata:
//
//	bridge NAME [id=N] [priority=N] [stp] [max-age=N] [fwd=N] PORT[/cost=N][/pri=N][/no=N][/edge][/noauto][/mcheck]...
//	cable A B     lays a cable between two ports
//	pull A        pulls it
//	run TIME      lets time pass; frames arrive at once
//	show          prints every port in a line, what was flushed and logged
//	full NAME     is rstp/show
//	status NAME PORT   the columns
//	tcn NAME      tells of a topology change
func TestTranscripts(t *testing.T) {
	modeltest.Transcripts(t, func(*testing.T) func(string) string { return newWorld().do })
}

type world struct {
	bridges map[string]*Bridge
	configs map[string]*Config
	cables  map[string]string
	now     time.Time
	log     []string
	sent    int
}

func newWorld() *world {
	return &world{bridges: map[string]*Bridge{}, configs: map[string]*Config{}, cables: map[string]string{}, now: time.Unix(1e9, 0)}
}

func (w *world) do(command string) string {
	f := strings.Fields(command)
	switch f[0] {
	case "bridge":
		w.bridge(f[1], f[2:])
	case "cable":
		w.cables[f[1]], w.cables[f[2]] = f[2], f[1]
		w.link(f[1], true)
		w.link(f[2], true)
	case "pull":
		w.pull(f[1])
	case "run":
		d, err := time.ParseDuration(f[1])
		if err != nil {
			return err.Error()
		}
		w.run(d)
	case "show":
		return w.show()
	case "full":
		return w.bridges[f[1]].Show()
	case "tcn":
		w.bridges[f[1]].TopologyChange()
		w.step()
	case "status":
		status, stats := w.bridges[f[1]].PortStatus(f[2], w.now)
		return fmt.Sprintf("%v\n%v\n%v\n", w.bridges[f[1]].Status(), status, stats)
	default:
		return "what?\n"
	}
	w.step()
	return ""
}

func (w *world) bridge(name string, args []string) {
	b := w.bridges[name]
	if b == nil {
		b = New(name, func(text string) { w.log = append(w.log, "log: "+text) })
		w.bridges[name] = b
	}
	c := &Config{
		Address: [6]byte{2, 5: byte(len(w.bridges))}, Priority: DefaultPriority, MaxAge: DefaultMaxAge,
		ForwardDelay: DefaultForwardDelay, HoldCount: DefaultHoldCount,
	}
	for _, arg := range args {
		key, value, valued := strings.Cut(arg, "=")
		n, _ := strconv.Atoi(value)
		switch {
		case key == "id":
			c.Address[5] = byte(n)
		case key == "priority":
			c.Priority = uint16(n)
		case key == "max-age":
			c.MaxAge = n
		case key == "fwd":
			c.ForwardDelay = n
		case key == "stp" && !valued:
			c.STP = true
		default:
			c.Ports = append(c.Ports, w.port(arg))
		}
	}
	w.configs[name] = c
	b.Configure(*c, w.now)
}

func (w *world) port(arg string) Port {
	parts := strings.Split(arg, "/")
	p := Port{Name: parts[0], Cost: 20000, Priority: DefaultPortPriority, AutoEdge: true, PointToPoint: true}
	for _, part := range parts[1:] {
		key, value, _ := strings.Cut(part, "=")
		n, _ := strconv.Atoi(value)
		switch key {
		case "cost":
			p.Cost = uint32(n)
		case "pri":
			p.Priority = n
		case "no":
			p.Number = n
		case "edge":
			p.AdminEdge = true
		case "noauto":
			p.AutoEdge = false
		case "mcheck":
			p.MCheck = true
		case "up":
			p.Up = true
		}
	}
	p.Up = p.Up || w.cables[p.Name] != ""
	return p
}

func (w *world) link(port string, up bool) {
	for _, b := range w.bridges {
		if p := b.find(port); p != nil {
			b.SetLink(port, up, p.Cost, p.PointToPoint)
		}
	}
}

func (w *world) pull(port string) {
	other := w.cables[port]
	delete(w.cables, port)
	delete(w.cables, other)
	w.link(port, false)
	w.link(other, false)
}

func (w *world) run(d time.Duration) {
	for end := w.now.Add(d); w.now.Before(end); {
		w.now = w.now.Add(500 * time.Millisecond)
		w.step()
	}
}

// step carries BPDUs until nobody has any more to say at the moment.
func (w *world) step() {
	for range 200 {
		quiet := true
		for _, name := range slices.Sorted(maps.Keys(w.bridges)) {
			out, flush := w.bridges[name].Run(w.now)
			if len(flush) > 0 {
				w.log = append(w.log, fmt.Sprintf("%s flushed %v", name, flush))
			}
			for _, m := range out {
				quiet = false
				w.sent++
				if to := w.cables[m.Port]; to != "" {
					for _, b := range w.bridges {
						_ = b.Receive(to, m.Bytes)
					}
				}
			}
		}
		if quiet {
			return
		}
	}
	w.log = append(w.log, "no end of BPDUs")
}

func (w *world) show() string {
	var s strings.Builder
	for _, name := range slices.Sorted(maps.Keys(w.bridges)) {
		b := w.bridges[name]
		fmt.Fprintf(&s, "%s root %s cost %d\n", name, b.rootPriority.Root, b.rootPriority.Cost)
		for _, p := range b.ports {
			also := ""
			if p.operEdge {
				also += " edge"
			}
			if !p.sendRSTP {
				also += " stp"
			}
			fmt.Fprintf(&s, "  %s %04x %s %s%s\n", p.Name, p.id, p.role, p.state(), also)
		}
	}
	for _, l := range w.log {
		s.WriteString(l + "\n")
	}
	w.log = nil
	return s.String()
}

// forest says whether the cables whose ends both forward connect all bridges
// that cables connect, without a circle.
func (w *world) forest() error {
	all, used := map[string]string{}, map[string]string{}
	find := func(of map[string]string, x string) string {
		for of[x] != "" {
			x = of[x]
		}
		return x
	}
	owner := func(port string) (string, *portOf) {
		for name, b := range w.bridges {
			if p := b.find(port); p != nil {
				return name, p
			}
		}
		return "", nil
	}
	for a, z := range w.cables {
		if a > z {
			continue
		}
		x, p := owner(a)
		y, q := owner(z)
		if i, j := find(all, x), find(all, y); i != j {
			all[i] = j
		}
		if p.forwarding && q.forwarding {
			i, j := find(used, x), find(used, y)
			if i == j {
				return fmt.Errorf("a circle is closed by %s and %s", a, z)
			}
			used[i] = j
		}
	}
	for name := range w.bridges {
		for other := range w.bridges {
			if (find(all, name) == find(all, other)) != (find(used, name) == find(used, other)) {
				return fmt.Errorf("%s and %s are apart", name, other)
			}
		}
	}
	return nil
}

type portOf = port

// TestForest changes random networks at random: after a while everything that
// is connected is reached, and there is no circle in what forwards. (While old
// news count up to max age there may be, with the protocol as it is.)
func TestForest(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 7))
		w := newWorld()
		n := 3 + r.IntN(5)
		var free []string
		var script []string
		do := func(command string) {
			script = append(script, command)
			w.do(command)
		}
		for i := range n {
			line := fmt.Sprintf("bridge B%d id=%d priority=%d", i, i+1, 4096*r.IntN(3))
			if r.IntN(5) == 0 && seed%2 == 1 {
				line += " stp"
			}
			for p := range 2 + r.IntN(4) {
				name := fmt.Sprintf("b%d.%d", i, p)
				free = append(free, name)
				line += fmt.Sprintf(" %s/cost=%d", name, []int{2000, 20000, 200000}[r.IntN(3)])
			}
			do(line)
		}
		for range 25 {
			switch {
			case len(free) > 1 && r.IntN(3) > 0:
				r.Shuffle(len(free), func(i, j int) { free[i], free[j] = free[j], free[i] })
				do("cable " + free[0] + " " + free[1])
				free = free[2:]
			case len(w.cables) > 0:
				a := slices.Sorted(maps.Keys(w.cables))[r.IntN(len(w.cables))]
				free = append(free, a, w.cables[a])
				do("pull " + a)
			}
			do(fmt.Sprintf("run %ds", r.IntN(8)))
		}
		do("run 90s")
		if err := w.forest(); err != nil {
			t.Fatalf("seed %d: %v\n%s\n%s", seed, err, strings.Join(script, "\n"), w.show())
		}
		if strings.Contains(strings.Join(w.log, "\n"), "rest") {
			t.Fatalf("seed %d: %v", seed, w.log)
		}
	}
}

// Whatever is no BPDU changes nothing but a counter.
func TestBadInput(t *testing.T) {
	w := newWorld()
	w.do("bridge A a1")
	w.do("bridge B b1")
	w.do("cable a1 b1")
	w.do("run 10s")
	good := (&bpdu.Message{Kind: bpdu.RST, Flags: bpdu.Designated.Flag(), Vector: bpdu.Vector{Root: 1, Bridge: 1, Port: 1}, Times: bpdu.Times{MaxAge: 20 * bpdu.Second, Hello: 2 * bpdu.Second, ForwardDelay: 15 * bpdu.Second}}).Append(nil)
	b := w.bridges["A"]
	before, bad := b.Show(), 0
	for n := range good {
		if b.Receive("a1", good[:n]) == nil {
			t.Errorf("%d bytes were taken", n)
		}
		bad++
	}
	for at, with := range map[int]byte{0: 1, 2: 1, 3: 7, 27: 20} {
		x := slices.Clone(good)
		x[at] = with
		if b.Receive("a1", x) == nil {
			t.Errorf("byte %d of %d was taken", at, with)
		}
		bad++
	}
	_, stats := b.PortStatus("a1", w.now)
	if b.Show() != before || stats["rstp_error_count"] != bad {
		t.Errorf("%v, want %d errors and no change:\n%s", stats, bad, b.Show())
	}
	if b.Receive("a1", good) != nil || b.Show() == before {
		t.Error("a better root is not believed")
	}
}

func TestCost(t *testing.T) {
	for speed, want := range map[uint64]uint32{0: 200000, 10e6: 2000000, 100e6: 200000, 1e9: 20000, 10e9: 2000, 100e9: 200, 1: 200000000, 1 << 62: 1} {
		if got := Cost(speed); got != want {
			t.Errorf("%d bit/s: %d, want %d", speed, got, want)
		}
	}
}

func FuzzReceive(f *testing.F) {
	for _, kind := range []bpdu.Kind{bpdu.Config, bpdu.TCN, bpdu.RST} {
		f.Add((&bpdu.Message{Kind: kind, Flags: 0x7e, Vector: bpdu.Vector{Root: 1, Cost: 2, Bridge: 3, Port: 4}, Times: bpdu.Times{MaxAge: 20 * bpdu.Second, Hello: 2 * bpdu.Second, ForwardDelay: 15 * bpdu.Second}}).Append(nil), false)
	}
	f.Fuzz(func(t *testing.T, frame []byte, stp bool) {
		w := newWorld()
		w.log = nil
		w.do("bridge A a1 a2/up a3/edge/up")
		w.do("bridge B b1 b2")
		w.do("cable a1 b1")
		b := w.bridges["A"]
		b.config.STP = stp
		now := w.now
		for range 40 {
			_ = b.Receive("a1", frame)
			_ = b.Receive("a2", frame)
			b.Run(now)
			now = now.Add(time.Second)
		}
		for _, l := range w.log {
			if strings.Contains(l, "rest") {
				t.Error(l)
			}
		}
	})
}
