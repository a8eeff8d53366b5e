package netflow

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

func listen(t *testing.T, network, addr string) *net.UDPConn {
	t.Helper()
	a, err := net.ResolveUDPAddr(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.ListenUDP(network, a)
	if err != nil {
		t.Skipf("no %s on loopback: %v", network, err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func receive(t *testing.T, c *net.UDPConn) []byte {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	b := make([]byte, 65536)
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

// Several collectors, one of them not there.
func TestExporter(t *testing.T) {
	four := listen(t, "udp4", "127.0.0.1:0")
	six := listen(t, "udp6", "[::1]:0")
	gone := listen(t, "udp4", "127.0.0.1:0")
	dead := gone.LocalAddr().String()
	gone.Close()

	e, err := New(Options{Targets: []string{dead, four.LocalAddr().String(), six.LocalAddr().String(), "localhost:1", "127.0.0.1:0"}},
		clock.NewStopped(at(0)), nil)
	if err == nil || strings.Count(err.Error(), "couldn't open connection to collector") != 2 {
		t.Errorf("New: %v", err)
	}
	for n := range 3 {
		e.Creditor(key(17, uint16(n), 9), 1, 2).Credit(nil, traffic(1, 60, 0, 0, 0))
		e.Flush()
		want := fmt.Sprintf("uptime=0 time=1700000000.000000000 seq=%d engine=0/0\n 10.0.0.1:%d>10.0.0.2:9 proto=17 tos=0x28 flags=0x0 in=1 out=2 packets=1 bytes=60 0-0\n", n, n)
		for _, c := range []*net.UDPConn{four, six} {
			same(t, decode(t, [][]byte{receive(t, c)}), want)
		}
	}

	// What was counted for one set of collectors is told to them.
	e.Creditor(key(17, 7, 9), 1, 2).Credit(nil, traffic(1, 60, 0, 0, 0))
	if err := e.Configure(Options{Targets: []string{six.LocalAddr().String()}, Settings: Settings{EngineID: 5}}); err != nil {
		t.Error(err)
	}
	receive(t, four)
	receive(t, six)

	// Closing tells of the rest.
	e.Creditor(key(17, 8, 9), 1, 2).Credit(nil, traffic(2, 120, 0, 0, 0))
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	same(t, decode(t, [][]byte{receive(t, six)}), `
uptime=0 time=1700000000.000000000 seq=4 engine=0/5
 10.0.0.1:8>10.0.0.2:9 proto=17 tos=0x28 flags=0x0 in=1 out=2 packets=2 bytes=120 0-0
`)
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if err := e.Configure(Options{Targets: []string{four.LocalAddr().String()}}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Configure after Close: %v", err)
	}
	e.Creditor(key(17, 8, 9), 1, 2).Credit(nil, traffic(2, 120, 0, 0, 0))
	e.Flush()
}

// The goroutine sends by itself what is due.
func TestExporterRuns(t *testing.T) {
	c := listen(t, "udp4", "127.0.0.1:0")
	e, err := New(Options{Targets: []string{c.LocalAddr().String()}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	silent := time.Now().Add(-Passive)
	tr := traffic(1, 60, 0, 0, 0)
	tr.First, tr.Last = silent, silent
	e.Creditor(key(17, 8, 9), 1, 2).Credit(nil, tr)
	receive(t, c)
}

// TestNfcapd has Debian's nfcapd collect, and nfdump print.
func TestNfcapd(t *testing.T) {
	for _, v := range []uint8{Version5, Version9} {
		t.Run(fmt.Sprint("version ", v), func(t *testing.T) { nfcapdCollects(t, v) })
	}
}

func nfcapdCollects(t *testing.T, version uint8) {
	nfcapd, nfdump := debs.Bin(t, "nfcapd"), debs.Bin(t, "nfdump")
	free := listen(t, "udp4", "127.0.0.1:0")
	port := free.LocalAddr().(*net.UDPAddr).Port
	free.Close()
	dir := t.TempDir()
	cmd := exec.Command(nfcapd, "-w", dir, "-b", "127.0.0.1", "-p", strconv.Itoa(port))
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	defer cmd.Process.Kill()
	debs.Await(t, "nfcapd listens", func() bool { return debs.Listening(t, port) })

	e, err := New(Options{Targets: []string{fmt.Sprintf("127.0.0.1:%d", port)}, Settings: Settings{Version: version, EngineType: 1, EngineID: 2}},
		nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	tr := traffic(3, 226, 0, 0, 0x12)
	tr.First, tr.Last = now, now.Add(1500*time.Millisecond)
	e.Creditor(key(6, 40000, 80), 3, 0xffff).Credit(nil, tr)
	tr.Packets, tr.Bytes, tr.TCPFlags = 5, 490, 0
	e.Creditor(key(1, 8, 0), 65534, 9).Credit(nil, tr)
	tr.Packets, tr.Bytes = 4_000_000, 6_000_000_000
	e.Creditor(key(17, 5000, 5001), 1, 2).Credit(nil, tr)
	want := []string{
		"6 10.0.0.1 40000 10.0.0.2 80 ...A..S. 40 3 65535 3 226 1.500",
		"1 10.0.0.1 0 10.0.0.2 8.0 ........ 40 65534 9 5 490 1.500",
	}
	if version == Version9 {
		tr.Packets, tr.Bytes = 7, 777
		e.Creditor(key6(17, 1234, 53), 1, 2).Credit(nil, tr)
		e.Creditor(key6(58, 128, 0), 1, 2).Credit(nil, tr)
		want = append(want,
			"17 2001:db8::1 1234 2001:db8::2 53 ........ 40 1 2 7 777 1.500",
			"58 2001:db8::1 0 2001:db8::2 128.0 ........ 40 1 2 7 777 1.500",
		)
	}
	e.Flush()
	const small = 70 // more than two datagrams
	for n := range small {
		tr.Packets, tr.Bytes = 1, uint64(60+n)
		e.Creditor(key(17, uint16(6000+n), 54), 1, 2).Credit(nil, tr)
	}
	e.Close()

	debs.Await(t, "nfcapd reads", func() bool { return debs.Queued(t, port) == 0 })
	cmd.Process.Signal(syscall.SIGTERM)
	cmd.Wait()
	if strings.Contains(said.String(), "Sequence Errors: ") && !strings.Contains(said.String(), "Sequence Errors: 0") {
		t.Errorf("nfcapd missed something:\n%s", said.String())
	}

	out, err := exec.Command(nfdump, "-R", dir, "-q", "-N", "-6", "-o",
		"fmt:%pr %sa %sp %da %dp %flg %tos %in %out %pkt %byt %td").CombinedOutput()
	if err != nil {
		t.Fatalf("nfdump: %v\n%s", err, out)
	}
	var bytes, udp uint64
	lines := map[string]bool{}
	for _, l := range strings.Split(string(out), "\n") {
		f := strings.Fields(l)
		if len(f) < 11 {
			continue
		}
		lines[strings.Join(f, " ")] = true
		if f[2] == "5000" {
			n, _ := strconv.ParseUint(f[10], 10, 64)
			bytes += n
		}
		if f[4] == "54" {
			udp++
		}
	}
	for _, want := range want {
		if !lines[want] {
			t.Errorf("nfdump does not print %q:\n%.2000s", want, out)
		}
	}
	if bytes != 6_000_000_000 || udp != small {
		t.Errorf("nfdump prints %d bytes of the large flow, %d small flows", bytes, udp)
	}
}
