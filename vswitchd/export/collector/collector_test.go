package collector

import (
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"
)

var targets = []struct {
	text string
	port uint16 // where none is named
	want string // "" is bad
}{
	{"192.0.2.1:5566", 0, "192.0.2.1:5566"},
	{"[2001:db8::1]:5566", 0, "[2001:db8::1]:5566"},
	{"192.0.2.1", 6343, "192.0.2.1:6343"},
	{"192.0.2.1:", 6343, "192.0.2.1:6343"},
	{"[2001:db8::1]", 6343, "[2001:db8::1]:6343"},
	{"192.0.2.1", 0, ""},
	{"192.0.2.1:0", 6343, ""},
	{"192.0.2.1:70000", 6343, ""},
	{"localhost:2055", 6343, ""},
	{"", 6343, ""},
}

func TestParse(t *testing.T) {
	for _, x := range targets {
		a, err := Parse(x.text, x.port)
		if got := a.String(); (err == nil) != (x.want != "") || err == nil && got != x.want {
			t.Errorf("%q, %d: %v, %v", x.text, x.port, got, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, x := range targets {
		f.Add(x.text, x.port)
	}
	f.Fuzz(func(t *testing.T, text string, port uint16) {
		a, err := Parse(text, port)
		if err != nil {
			return
		}
		if !a.IsValid() || a.Port() == 0 {
			t.Fatalf("%q is %v", text, a)
		}
		if again, err := Parse(a.String(), 0); err != nil || again != a {
			t.Fatalf("%v is %v, %v", a, again, err)
		}
	})
}

// A bad target is named in C's words, once, and the others work.
func TestSet(t *testing.T) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var said strings.Builder
	s := New("NetFlow", 0, slog.New(slog.NewTextHandler(&said, nil)))
	names := []string{c.LocalAddr().String(), "junk"}
	if err := s.Open(names); err == nil || err.Error() != "couldn't open connection to collector junk (not a numeric address and a port)" {
		t.Errorf("Open: %v", err)
	}
	if n := strings.Count(said.String(), "couldn't open connection to collector junk ("); n != 1 {
		t.Errorf("the log names it %d times: %s", n, said.String())
	}
	if !s.Has([]string{"junk", names[0]}) || s.Has(names[:1]) || s.Local().String() != "127.0.0.1" {
		t.Error("Has or Local")
	}
	if n := s.Send([][]byte{{1}, {2, 3}}); n != 0 {
		t.Errorf("%d were not sent", n)
	}
	_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
	b := make([]byte, 10)
	for want := 1; want <= 2; want++ {
		if n, err := c.Read(b); n != want {
			t.Errorf("received %d bytes, %v", n, err)
		}
	}
	if err := s.Open(nil); err != nil || s.Local().IsValid() {
		t.Errorf("without targets: %v, %v", err, s.Local())
	}
}
