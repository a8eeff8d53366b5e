package daemon_test

import (
	"bufio"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"govs/internal/debs"
	"govs/vswitchd/daemon"
	"govs/vswitchd/desired"
)

// An accountant is one of pmacct's collectors, and what it has counted: packets
// and bytes by "source,destination,source port,destination port,protocol".
type accountant struct {
	port int
	mu   sync.Mutex
	sums map[string][2]int
	said []string
}

// account starts nfacctd or sfacctd; it ends with the test.
func account(t *testing.T, program string) *accountant {
	t.Helper()
	path := debs.Bin(t, program)
	free, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	addr := free.LocalAddr().(*net.UDPAddr)
	_ = free.Close()
	a := &accountant{port: addr.Port, sums: make(map[string][2]int)}
	conf := filepath.Join(t.TempDir(), "conf")
	text := fmt.Sprintf("daemonize: false\nplugins: print[x]\naggregate[x]: src_host, dst_host, src_port, dst_port, proto\n"+
		"print_refresh_time[x]: 1\nprint_output[x]: csv\n%s_ip: 127.0.0.1\n%s_port: %d\n", program, program, a.port)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-f", conf)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = w
	err = cmd.Start()
	_ = w.Close()
	if err != nil {
		t.Skip(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for s := bufio.NewScanner(r); s.Scan(); {
			a.line(s.Text())
		}
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // its plugins are processes
		_ = cmd.Wait()
		<-done
		_ = r.Close()
	})
	debs.Await(t, program+" listens", func() bool { return debs.Listening(t, addr.Port) })
	return a
}

// line reads "SRC_IP,DST_IP,SRC_PORT,DST_PORT,PROTOCOL,PACKETS,BYTES".
func (a *accountant) line(text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.said = append(a.said, text)
	f := strings.Split(text, ",")
	if len(f) != 7 {
		return
	}
	packets, err1 := strconv.Atoi(f[5])
	bytes, err2 := strconv.Atoi(f[6])
	if err1 != nil || err2 != nil {
		return
	}
	id := strings.Join(f[:5], ",")
	sum := a.sums[id]
	a.sums[id] = [2]int{sum[0] + packets, sum[1] + bytes}
}

func (a *accountant) packets() (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, sum := range a.sums {
		n += sum[0]
	}
	return n
}

// TestPmacct has pmacct's collectors count what was sent, by NetFlow 9, sFlow
// and IPFIX.
func TestPmacct(t *testing.T) {
	nine, ipfix, sflow := account(t, "nfacctd"), account(t, "nfacctd"), account(t, "sfacctd")
	l := newLab(t, here)
	l.start(daemon.Options{Dummy: desired.DummyOverride})
	line := fmt.Sprintf("ovs-vsctl add-br br0 -- add-port br0 p1 -- add-port br0 p2"+
		` -- --id=@n create NetFlow 'targets="127.0.0.1:%d"' active_timeout=-1 external_ids:netflow-version=9`+
		` -- --id=@i create IPFIX 'targets="127.0.0.1:%d"' sampling=1 cache_active_timeout=2 cache_max_flows=50 other_config:enable-output-sampling=false`+
		` -- --id=@s create sFlow 'targets="127.0.0.1:%d"' sampling=1 'agent="192.0.2.9"'`+
		" -- set Bridge br0 netflow=@n ipfix=@i sflow=@s", nine.port, ipfix.port, sflow.port)
	if out := l.vsctl(fields(line)[1:]...); strings.Contains(out, "ovs-vsctl") {
		t.Fatal(out)
	}
	const (
		packets, size = 20, 300
		eth           = "in_port(1),eth(src=50:54:00:00:00:01,dst=50:54:00:00:00:02),"
		ipv4          = "eth_type(0x0800),ipv4(src=10.0.0.1,dst=10.0.0.2,proto=6,tos=0,ttl=64,frag=no),tcp(src=1000,dst=2000),tcp_flags(ack)"
		ipv6          = "eth_type(0x86dd),ipv6(src=2001:db8::1,dst=2001:db8::2,label=0,proto=17,tclass=0,hlimit=64,frag=no),udp(src=1000,dst=2000)"
	)
	for range packets {
		for _, text := range []string{ipv4, ipv6} {
			if out := l.appctl("netdev-dummy/receive", "p1", eth+text, "--len", fmt.Sprint(size)); out != "" {
				t.Fatal(out)
			}
		}
	}
	l.appctl("revalidator/wait")
	for name, x := range map[string]struct {
		a    *accountant
		size int // of the frame, of the packet in it, and of the frame with FCS
	}{"NetFlow 9": {nine, size}, "IPFIX": {ipfix, size - 14}, "sFlow": {sflow, size + 4}} {
		await(t, name+" to be counted", func() bool {
			l.appctl("time/warp", "1000")
			return x.a.packets() >= 2*packets
		}, func() string {
			x.a.mu.Lock()
			defer x.a.mu.Unlock()
			return strings.Join(x.a.said, "\n")
		})
		want := map[string][2]int{
			"10.0.0.1,10.0.0.2,1000,2000,tcp":       {packets, packets * x.size},
			"2001:db8::1,2001:db8::2,1000,2000,udp": {packets, packets * x.size},
		}
		x.a.mu.Lock()
		if !maps.Equal(x.a.sums, want) {
			t.Errorf("%s: counted %v, want %v", name, x.a.sums, want)
		}
		x.a.mu.Unlock()
	}
}
