package sflow

import (
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"govs/datapath/action"
	"govs/internal/clock"
	"govs/internal/debs"
)

func listen(t *testing.T, addr string) *net.UDPConn {
	t.Helper()
	a, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.ListenUDP("udp", a)
	if err != nil {
		t.Skipf("no %s: %v", addr, err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func receive(t *testing.T, c *net.UDPConn) []byte {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	b := make([]byte, 65536)
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

// Several collectors, one of them not there, and the rules by which an agent
// finds its address.
func TestExporter(t *testing.T) {
	one, two := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	e := New(clock.NewStopped(boot), nil, nil)
	targets := []string{one.LocalAddr().String(), "localhost:1", two.LocalAddr().String()}
	for _, x := range []struct{ agent, want string }{
		{"", "127.0.0.1"}, {"192.0.2.9", "192.0.2.9"}, {"2001:db8::9", "2001:db8::9"}, {"lo", "127.0.0.1"}, {"nosuchdevice", ""},
	} {
		err := e.Configure(Options{Targets: targets, Agent: x.agent, Settings: settings()})
		if x.agent == "" && (err == nil || strings.Count(err.Error(), "couldn't open connection to collector") != 1) {
			t.Errorf("Configure: %v", err)
		}
		if e.Works() != (x.want != "") {
			t.Errorf("agent %q: works: %v", x.agent, e.Works())
		}
		if x.want == "" {
			continue
		}
		e.Sampled(taken(t, udp, 0, action.SFlow{}))
		e.send((*Agent).Run)
		for _, c := range []*net.UDPConn{one, two} {
			if got := decode(t, [][]byte{receive(t, c)}); !strings.Contains(got, "agent="+x.want+"/") {
				t.Errorf("agent %q: %s", x.agent, got)
			}
		}
	}
	// Closing tells of the rest.
	if err := e.Configure(Options{Targets: targets[:1], Agent: "192.0.2.9", Settings: settings()}); err != nil {
		t.Error(err)
	}
	e.Sampled(taken(t, udp, 0, action.SFlow{}))
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	receive(t, one)
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if err := e.Configure(Options{Targets: targets}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Configure after Close: %v", err)
	}
}

// The goroutine sends by itself what is full, and what has waited.
func TestExporterRuns(t *testing.T) {
	c := listen(t, "127.0.0.1:0")
	e := New(nil, nil, nil)
	defer e.Close()
	if err := e.Configure(Options{Targets: []string{c.LocalAddr().String()}, Settings: settings()}); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		e.Sampled(taken(t, udp, 1000, action.SFlow{}))
	}
	first := decode(t, [][]byte{receive(t, c)})
	second := decode(t, [][]byte{receive(t, c)})
	if n := strings.Count(first, " flow ") + strings.Count(second, " flow "); n != 10 {
		t.Errorf("%d samples:\n%s%s", n, first, second)
	}
}

// TestSfcapd has Debian's sfcapd collect and nfdump print: packets and bytes
// are those that were sampled, times the rate.
func TestSfcapd(t *testing.T) {
	sfcapd, nfdump := debs.Bin(t, "sfcapd"), debs.Bin(t, "nfdump")
	free := listen(t, "127.0.0.1:0")
	addr := free.LocalAddr().(*net.UDPAddr)
	free.Close()
	dir := t.TempDir()
	cmd := exec.Command(sfcapd, "-w", dir, "-b", "127.0.0.1", "-p", strconv.Itoa(addr.Port))
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	defer cmd.Process.Kill()
	debs.Await(t, "sfcapd listens", func() bool { return debs.Listening(t, addr.Port) })
	e := New(nil, nil, nil)
	s := settings()
	s.Rate, s.Polling = 10, time.Hour
	if err := e.Configure(Options{Targets: []string{addr.String()}, Agent: "192.0.2.9", Settings: s}); err != nil {
		t.Fatal(err)
	}
	const samples = 50
	for n := range samples {
		x := taken(t, strings.Replace(udp, "src=1000", fmt.Sprintf("src=%d", 5000+n), 1), 500, action.SFlow{TCI: 20, Output: 22})
		e.Sampled(x)
	}
	e.Sampled(taken(t, tagged, 300, action.SFlow{Output: 0x80000003}))
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	// Not at once: what waits in its socket is read before it ends.
	debs.Await(t, "sfcapd reads", func() bool { return debs.Queued(t, addr.Port) == 0 })
	cmd.Process.Signal(syscall.SIGTERM)
	cmd.Wait()
	out, err := exec.Command(nfdump, "-R", dir, "-q", "-N", "-o", "fmt:%pr %sa %sp %da %dp %in %out %svln %dvln %pkt %byt").CombinedOutput()
	if err != nil {
		t.Fatalf("nfdump: %v\n%s\n%s", err, out, said.String())
	}
	ports, lines := 0, map[string]bool{}
	for _, l := range strings.Split(string(out), "\n") {
		f := strings.Fields(l)
		if len(f) < 11 {
			continue
		}
		lines[strings.Join(f, " ")] = true
		if strings.HasPrefix(f[2], "50") && strings.Join(f[3:], " ") == "10.0.0.2 2000 11 22 0 20 10 5040" {
			ports++
		}
	}
	if ports != samples {
		t.Errorf("nfdump prints %d flows, want %d:\n%.3000s\n%s", ports, samples, out, said.String())
	}
	if want := "17 10.0.0.2 1000 10.0.0.1 2000 0 3 10 0 10 3040"; !lines[want] {
		t.Errorf("nfdump does not print %q:\n%s", want, out[max(0, len(out)-400):])
	}
}
