package stp

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
//	bridge NAME [id=N] [priority=N] [hello=N] [max-age=N] [fwd=N] PORT[/cost=N][/pri=N][/no=N][/up]...
//	cable A B     lays a cable between two ports
//	pull A        pulls it
//	run TIME      lets time pass; frames arrive at once
//	show          prints every port in a line, and what was flushed and logged
//	full NAME     is stp/show
//	status NAME PORT   the columns
//	tcn NAME      tells of a topology change
func TestTranscripts(t *testing.T) {
	modeltest.Transcripts(t, func(*testing.T) func(string) string { return newWorld().do })
}

type world struct {
	bridges map[string]*Bridge
	cables  map[string]string
	now     time.Time
	log     []string
}

func newWorld() *world {
	return &world{bridges: map[string]*Bridge{}, cables: map[string]string{}, now: time.Unix(1e9, 0)}
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
		other := w.cables[f[1]]
		delete(w.cables, f[1])
		delete(w.cables, other)
		w.link(f[1], false)
		w.link(other, false)
	case "run":
		d, err := time.ParseDuration(f[1])
		if err != nil {
			return err.Error()
		}
		for end := w.now.Add(d); w.now.Before(end); {
			w.now = w.now.Add(250 * time.Millisecond)
			w.step()
		}
	case "show":
		return w.show()
	case "full":
		return w.bridges[f[1]].Show()
	case "status":
		status, stats := w.bridges[f[1]].PortStatus(f[2], w.now)
		return fmt.Sprintf("%v\n%v\n%v\n", w.bridges[f[1]].Status(), status, stats)
	case "tcn":
		w.bridges[f[1]].TopologyChange(w.now)
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
	c := Config{
		Address: [6]byte{2, 5: byte(len(w.bridges))}, Priority: DefaultPriority, Hello: DefaultHello, MaxAge: DefaultMaxAge,
		ForwardDelay: DefaultForwardDelay,
	}
	for _, arg := range args {
		key, value, _ := strings.Cut(arg, "=")
		n, _ := strconv.Atoi(value)
		switch key {
		case "id":
			c.Address[5] = byte(n)
		case "priority":
			c.Priority = uint16(n)
		case "hello":
			c.Hello = n
		case "max-age":
			c.MaxAge = n
		case "fwd":
			c.ForwardDelay = n
		default:
			c.Ports = append(c.Ports, w.port(arg))
		}
	}
	b.Configure(c, w.now)
}

func (w *world) port(arg string) Port {
	parts := strings.Split(arg, "/")
	p := Port{Name: parts[0], Cost: 4, Priority: DefaultPortPriority, Up: w.cables[parts[0]] != ""}
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
		case "up":
			p.Up = true
		}
	}
	return p
}

func (w *world) link(port string, up bool) {
	for _, b := range w.bridges {
		if p := b.find(port); p != nil {
			b.SetLink(port, up, p.Cost, w.now)
		}
	}
}

// step carries BPDUs until nobody has any more to say at the moment.
func (w *world) step() {
	for range 200 {
		quiet := true
		for _, name := range slices.Sorted(maps.Keys(w.bridges)) {
			out, flush := w.bridges[name].Run(w.now)
			if flush {
				w.log = append(w.log, name+" flushed")
			}
			for _, m := range out {
				quiet = false
				for _, b := range w.bridges {
					if to := w.cables[m.Port]; to != "" {
						_ = b.Receive(to, m.Bytes, w.now)
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
		fmt.Fprintf(&s, "%s root %s cost %d\n", name, b.root.Old(), b.rootCost)
		for _, p := range b.ports {
			fmt.Fprintf(&s, "  %s %04x %s %s\n", p.Name, p.id, b.role(p), p.state)
		}
	}
	for _, l := range w.log {
		s.WriteString(l + "\n")
	}
	w.log = nil
	return s.String()
}

// circle says whether the cables whose ends both forward close a circle, and
// apart whether they leave out a bridge that cables lead to.
func (w *world) tree() (circle, apart string) {
	all, used := map[string]string{}, map[string]string{}
	find := func(of map[string]string, x string) string {
		for of[x] != "" {
			x = of[x]
		}
		return x
	}
	owner := func(name string) (string, *port) {
		for at, b := range w.bridges {
			if p := b.find(name); p != nil {
				return at, p
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
		if p.state == Forwarding && q.state == Forwarding {
			i, j := find(used, x), find(used, y)
			if i == j {
				circle = a + " and " + z
			} else {
				used[i] = j
			}
		}
	}
	for x := range w.bridges {
		for y := range w.bridges {
			if (find(all, x) == find(all, y)) != (find(used, x) == find(used, y)) {
				apart = x + " and " + y
			}
		}
	}
	return circle, apart
}

// TestTree changes random networks at random: after a while everything that is
// connected is reached, without a circle.
func TestTree(t *testing.T) {
	for seed := range uint64(25) {
		r := rand.New(rand.NewPCG(seed, 8))
		w := newWorld()
		var free, script []string
		do := func(command string) {
			script = append(script, command)
			w.do(command)
		}
		for i := range 3 + r.IntN(4) {
			line := fmt.Sprintf("bridge B%d id=%d priority=%d", i, i+1, r.IntN(3))
			for p := range 2 + r.IntN(4) {
				name := fmt.Sprintf("b%d.%d", i, p)
				free = append(free, name)
				line += fmt.Sprintf(" %s/cost=%d", name, []int{2, 4, 19}[r.IntN(3)])
			}
			do(line)
		}
		for range 20 {
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
			do(fmt.Sprintf("run %ds", r.IntN(40)))
		}
		do("run 120s")
		if circle, apart := w.tree(); circle != "" || apart != "" {
			t.Fatalf("seed %d: circle %q, apart %q\n%s\n%s", seed, circle, apart, strings.Join(script, "\n"), w.show())
		}
	}
}

// Whatever is no BPDU changes nothing but a counter.
func TestBadInput(t *testing.T) {
	w := newWorld()
	w.do("bridge A a1/up")
	good := (&bpdu.Message{Kind: bpdu.Config, Vector: bpdu.Vector{Root: 1, Bridge: 1, Port: 1},
		Times: bpdu.Times{MaxAge: 20 * bpdu.Second, Hello: 2 * bpdu.Second, ForwardDelay: 15 * bpdu.Second}}).Append(nil)
	b := w.bridges["A"]
	before := b.Show()
	for n := range good {
		if b.Receive("a1", good[:n], w.now) == nil {
			t.Errorf("%d bytes were taken", n)
		}
	}
	if _, stats := b.PortStatus("a1", w.now); b.Show() != before || stats["stp_error_count"] != len(good) {
		t.Errorf("%v, want %d errors and no change:\n%s", stats, len(good), b.Show())
	}
	if b.Receive("a1", good, w.now) != nil || b.Show() == before {
		t.Error("a better root is not believed")
	}
}

func FuzzReceive(f *testing.F) {
	for _, kind := range []bpdu.Kind{bpdu.Config, bpdu.TCN, bpdu.RST} {
		f.Add((&bpdu.Message{Kind: kind, Flags: 0x81, Vector: bpdu.Vector{Root: 1, Cost: 2, Bridge: 3, Port: 4},
			Times: bpdu.Times{MaxAge: 20 * bpdu.Second, Hello: 2 * bpdu.Second, ForwardDelay: 15 * bpdu.Second}}).Append(nil))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		w := newWorld()
		w.do("bridge A a1/up a2/up")
		b := w.bridges["A"]
		for range 30 {
			_ = b.Receive("a1", frame, w.now)
			w.now = w.now.Add(time.Second)
			if out, _ := b.Run(w.now); len(out) > 100 {
				t.Fatalf("%d BPDUs in a second", len(out))
			}
		}
		_ = b.Show()
	})
}
