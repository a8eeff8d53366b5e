package ipfix

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

	"govs/internal/clock"
	"govs/internal/debs"
)

func listen(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// drain reads messages until one that says so.
func drain(t *testing.T, c *net.UDPConn, to *reader, until string) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	b := make([]byte, 65536)
	for {
		n, err := c.Read(b)
		if err != nil {
			t.Fatalf("waiting for %q: %v", until, err)
		}
		if strings.Contains(to.read([][]byte{b[:n]}, 7), until) {
			return
		}
	}
}

// Two collectors, and one that comes later and needs templates, too.
func TestExporter(t *testing.T) {
	one, two, three := listen(t), listen(t), listen(t)
	name := func(c *net.UDPConn) string { return c.LocalAddr().String() }
	e := New(clock.NewStopped(start), nil)
	err := e.Configure(Options{Targets: []string{name(one), "junk", name(two)}, Settings: settings()})
	if err == nil || strings.Count(err.Error(), "couldn't open connection to collector") != 1 {
		t.Errorf("Configure: %v", err)
	}
	r1, r2, r3 := newReader(t), newReader(t), newReader(t)
	e.Sampled(taken(t, udp4, 0, in, start)) // the goroutine sends it
	drain(t, one, r1, "284: 7=03e8")
	drain(t, two, r2, "284: 7=03e8")
	if err := e.Configure(Options{Targets: []string{name(one), name(three)}, Settings: settings()}); err != nil {
		t.Error(err)
	}
	e.Sampled(taken(t, udp4, 0, out, start))
	drain(t, one, r1, "285: 7=03e8")
	drain(t, three, r3, "285: 7=03e8")

	// Closing tells of what is in the cache.
	s := settings()
	s.Active, s.MaxFlows = time.Hour, 100
	if err := e.Configure(Options{Targets: []string{name(one), name(three)}, Settings: s}); err != nil {
		t.Error(err)
	}
	e.Sampled(taken(t, tcp6, 0, out, start))
	if e.Len() != 1 {
		t.Errorf("%d flows", e.Len())
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	drain(t, three, r3, "361: 7=03e8")
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if err := e.Configure(Options{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Configure after Close: %v", err)
	}
}

// TestNfcapd has Debian's nfcapd collect and nfdump print: packets and bytes
// are those that were sampled.
func TestNfcapd(t *testing.T) {
	nfcapd, nfdump := debs.Bin(t, "nfcapd"), debs.Bin(t, "nfdump")
	free := listen(t)
	addr := free.LocalAddr().(*net.UDPAddr)
	free.Close()
	dir := t.TempDir()
	cmd := exec.Command(nfcapd, "-w", dir, "-b", "127.0.0.1", "-p", strconv.Itoa(addr.Port))
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	defer cmd.Process.Kill()
	debs.Await(t, "nfcapd listens", func() bool { return debs.Listening(t, addr.Port) })
	e := New(nil, nil)
	s := settings()
	s.Active, s.MaxFlows = time.Hour, 1000
	if err := e.Configure(Options{Targets: []string{addr.String()}, Settings: s}); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	const flows = 50
	for n := range flows {
		text := strings.Replace(udp4, "src=1000", fmt.Sprintf("src=%d", 5000+n), 1)
		for range 4 {
			e.Sampled(taken(t, text, 500, in, now))
		}
	}
	e.Sampled(taken(t, tcp6, 318, out, now))
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	debs.Await(t, "nfcapd reads", func() bool { return debs.Queued(t, addr.Port) == 0 })
	cmd.Process.Signal(syscall.SIGTERM)
	cmd.Wait()
	if strings.Contains(said.String(), "Sequence Errors: ") && !strings.Contains(said.String(), "Sequence Errors: 0") {
		t.Errorf("nfcapd missed something:\n%s", said.String())
	}
	out, err := exec.Command(nfdump, "-R", dir, "-q", "-N", "-6", "-o", "fmt:%pr %sa %sp %da %dp %in %out %pkt %byt").CombinedOutput()
	if err != nil {
		t.Fatalf("nfdump: %v\n%s\n%s", err, out, said.String())
	}
	good, lines := 0, map[string]bool{}
	for _, l := range strings.Split(string(out), "\n") {
		f := strings.Fields(l)
		if len(f) < 9 {
			continue
		}
		lines[strings.Join(f, " ")] = true
		if strings.HasPrefix(f[2], "50") && strings.Join(f[3:], " ") == "10.0.0.2 2000 11 0 4 1944" {
			good++
		}
	}
	if good != flows {
		t.Errorf("nfdump prints %d flows, want %d:\n%.600s\n%s", good, flows, out, said.String())
	}
	if want := "6 fe80::1 1000 fe80::2 2000 22 22 1 300"; !lines[want] {
		t.Errorf("nfdump does not print %q:\n%s", want, out[max(0, len(out)-400):])
	}
}
