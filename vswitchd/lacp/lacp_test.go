package lacp

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"govs/vswitchd/model/modeltest"
)

// TestTranscripts reads testdata:
//
//	port NAME [active] [fast] [fallback] [id=N] [priority=N] MEMBER[/ID[/PRIORITY[/KEY]]]...
//	cable A B     lays a cable between two members
//	pull A        pulls it
//	deafen A      what is sent to the member is lost
//	run TIME      lets time pass, and frames travel
//	show          prints every member in a line, and what was logged
//	full NAME     is lacp/show, and "stats NAME" lacp/show-stats
func TestTranscripts(t *testing.T) {
	modeltest.Transcripts(t, func(*testing.T) func(string) string {
		w := &world{ports: map[string]*Aggregator{}, cables: map[string]string{}, deaf: map[string]bool{}, now: time.Unix(1e9, 0)}
		return w.do
	})
}

type world struct {
	ports  map[string]*Aggregator
	cables map[string]string
	deaf   map[string]bool
	now    time.Time
	log    string
}

func (w *world) do(command string) string {
	f := strings.Fields(command)
	switch f[0] {
	case "port":
		w.port(f[1], f[2:])
	case "cable":
		w.cables[f[1]], w.cables[f[2]] = f[2], f[1]
		w.carrier(f[1], true)
		w.carrier(f[2], true)
	case "pull":
		other := w.cables[f[1]]
		delete(w.cables, f[1])
		delete(w.cables, other)
		w.carrier(f[1], false)
		w.carrier(other, false)
	case "deafen":
		w.deaf[f[1]] = true
	case "run":
		d, err := time.ParseDuration(f[1])
		if err != nil {
			return err.Error()
		}
		for end := w.now.Add(d); !w.now.After(end); w.now = w.now.Add(100 * time.Millisecond) {
			w.step()
		}
	case "show":
		return w.show()
	case "full":
		return w.ports[f[1]].Show()
	case "stats":
		return w.ports[f[1]].ShowStats()
	default:
		return "what?\n"
	}
	return ""
}

func (w *world) port(name string, args []string) {
	a := w.ports[name]
	if a == nil {
		a = New(name, func(text string) { w.log += "log: " + text + "\n" })
		w.ports[name] = a
	}
	c := Config{SystemPriority: 65534}
	for _, arg := range args {
		key, value, _ := strings.Cut(arg, "=")
		n, _ := strconv.Atoi(value)
		switch key {
		case "active":
			c.Active = true
		case "fast":
			c.Fast = true
		case "fallback":
			c.FallbackAB = true
		case "id":
			c.SystemID = [6]byte{2, 5: byte(n)}
		case "priority":
			c.SystemPriority = uint16(n)
		default:
			m := Member{PortID: uint16(len(c.Members) + 1), PortPriority: 65535}
			for i, part := range strings.Split(arg, "/") {
				n, _ := strconv.Atoi(part)
				switch i {
				case 0:
					m.Name = part
				case 1:
					m.PortID = uint16(n)
				case 2:
					m.PortPriority = uint16(n)
				case 3:
					m.Key = uint16(n)
				}
			}
			c.Members = append(c.Members, m)
		}
	}
	a.Configure(c, w.now)
}

func (w *world) carrier(member string, up bool) {
	for _, a := range w.ports {
		a.SetCarrier(member, up, w.now)
	}
}

// step carries frames until nobody has any more to say at the moment.
func (w *world) step() {
	for range 10 {
		quiet := true
		for _, name := range slices.Sorted(maps.Keys(w.ports)) {
			for _, m := range w.ports[name].Run(w.now) {
				quiet = false
				to := w.cables[m.Member]
				for _, a := range w.ports {
					if !w.deaf[to] {
						_ = a.Receive(to, m.Bytes, w.now)
					}
				}
			}
		}
		if quiet {
			return
		}
	}
}

func (w *world) show() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(w.ports)) {
		a := w.ports[name]
		fmt.Fprintf(&b, "%s %s\n", name, a.Status())
		for _, m := range a.members {
			fmt.Fprintf(&b, "  %s %s attached=%v usable=%v partner=%x/%d:%s\n",
				m.Name, m.receive, m.attached, a.mayEnable(m), m.partner.SystemID[5], m.partner.PortID, m.partner.State)
		}
	}
	b.WriteString(w.log)
	w.log = ""
	return b.String()
}

// Whatever is no whole LACPDU changes nothing.
func TestBadInput(t *testing.T) {
	now := time.Unix(1e9, 0)
	a := New("p", nil)
	a.Configure(Config{Active: true, SystemID: [6]byte{5: 1}, Members: []Member{{Name: "m", PortID: 1}}}, now)
	a.SetCarrier("m", true, now)
	good := (&PDU{Actor: Info{SystemID: [6]byte{5: 9}, State: Activity | Aggregation}}).Append(nil)
	before := a.Show()
	bad := uint64(0)
	for n := range good {
		if err := a.Receive("m", good[:n], now); err == nil {
			t.Errorf("%d bytes were taken", n)
		}
		bad++
	}
	for at, with := range map[int]byte{0: 3, 1: 0, 2: 2, 3: 19, 22: 9, 42: 7, 43: 0} {
		b := slices.Clone(good)
		b[at] = with
		if err := a.Receive("m", b, now); err == nil {
			t.Errorf("byte %d of %d was taken", at, with)
		}
		bad++
	}
	if s, _ := a.Stats("m"); s.BadPDUs != bad || s.RxPDUs != 0 || a.Show() != before {
		t.Errorf("%+v, want %d bad ones and no change:\n%s", s, bad, a.Show())
	}
	if err := a.Receive("other", good, now); err == nil {
		t.Error("a member that is not there has received")
	}
}

// A marker is sent back as a response, the same but for its type.
func TestMarker(t *testing.T) {
	now := time.Unix(1e9, 0)
	a := New("p", nil)
	a.Configure(Config{Members: []Member{{Name: "m", PortID: 1}}}, now)
	a.SetCarrier("m", true, now)
	marker := make([]byte, pduLen)
	copy(marker, []byte{subtypeMarker, version, markerInfo, markerLen, 0, 7})
	if err := a.Receive("m", marker, now); err != nil {
		t.Fatal(err)
	}
	want := slices.Clone(marker)
	want[markerAt] = markerReply
	out := a.Run(now)
	if len(out) != 1 || out[0].Member != "m" || !bytes.Equal(out[0].Bytes, want) {
		t.Errorf("%+v", out)
	}
	if err := a.Receive("m", want, now); err != nil || len(a.Run(now)) != 0 {
		t.Error("a response is answered")
	}
}

// However often it is contradicted, a member sends three LACPDUs a second.
func TestBurst(t *testing.T) {
	now := time.Unix(1e9, 0)
	a := New("p", nil)
	a.Configure(Config{Active: true, SystemID: [6]byte{5: 1}, Members: []Member{{Name: "m", PortID: 1}}}, now)
	a.SetCarrier("m", true, now)
	lie := (&PDU{Actor: Info{SystemID: [6]byte{5: 9}, State: Activity}}).Append(nil)
	sent := 0
	for range 1000 {
		if err := a.Receive("m", lie, now); err != nil {
			t.Fatal(err)
		}
		sent += len(a.Run(now))
		if next := a.Next(now); !next.After(now) && sent >= mostInFast {
			t.Fatal("wants to run without end")
		}
		now = now.Add(10 * time.Millisecond)
	}
	if sent < 20 || sent > 33 {
		t.Errorf("%d in ten seconds", sent)
	}
}

func FuzzParse(f *testing.F) {
	f.Add((&PDU{Actor: Info{SystemPriority: 1, SystemID: [6]byte{1, 2, 3, 4, 5, 6}, Key: 7, PortPriority: 8, PortID: 9, State: 0x3d}}).Append(nil))
	f.Add([]byte{2, 1, 1, 16})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Parse(b)
		if err == nil {
			if again, err := Parse(p.Append(nil)); err != nil || again != p {
				t.Errorf("%+v became %+v, %v", p, again, err)
			}
		}
		now := time.Unix(1e9, 0)
		a := New("p", nil)
		a.Configure(Config{Active: true, Members: []Member{{Name: "m", PortID: 1}, {Name: "n", PortID: 2}}}, now)
		a.SetCarrier("m", true, now)
		_ = a.Receive("m", b, now)
		a.Run(now)
		_ = a.Show()
	})
}
