package bridge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"govs/brcompat/ioctl"
	"govs/brcompat/link"
	"govs/internal/vlog"
	"govs/schema/vswitch"
)

// fakeLinks are network devices that are not there.
type fakeLinks struct {
	mu   sync.Mutex
	list []link.Link
	gone []string
}

func (f *fakeLinks) find(match func(*link.Link) bool) (*link.Link, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range f.list {
		if match(&l) {
			return &l, nil
		}
	}
	return nil, link.ErrNone
}

func (f *fakeLinks) Index(name string) int {
	l, err := f.ByName(name)
	if err != nil {
		return 0
	}
	return l.Index
}

func (f *fakeLinks) ByName(name string) (*link.Link, error) {
	return f.find(func(l *link.Link) bool { return l.Name == name })
}

func (f *fakeLinks) ByIndex(index int) (*link.Link, error) {
	return f.find(func(l *link.Link) bool { return l.Index == index })
}

func (f *fakeLinks) MAC(name string) net.HardwareAddr {
	l, err := f.ByName(name)
	if err != nil {
		return nil
	}
	return l.MAC
}

func (f *fakeLinks) Bridges() (map[string]int, error) { return map[string]int{"native": 9}, nil }

func (f *fakeLinks) BridgeInfo(string) (*ioctl.BridgeInfo, error) { return nil, link.ErrNone }

func (f *fakeLinks) News() (link.News, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	gone := f.gone
	f.gone = nil
	return link.News{Gone: gone}, nil
}

// A lab is a Switch on a database that no ovs-vswitchd serves: the test says
// what that would.
type lab struct {
	*Switch
	t     *testing.T
	links *fakeLinks
	vsctl func(args ...string) string
	// transact runs a transaction, without what ovs-vsctl does beside.
	transact func(ops string) string
}

func newLab(t *testing.T, timeout time.Duration) *lab {
	out, err := exec.Command("../../tools/debs/debs").Output()
	if err != nil {
		t.Skipf("Debian's programs are not there: %v", err)
	}
	bin := filepath.Join(strings.TrimSpace(string(out)), "bin")
	dir := t.TempDir()
	env := append(os.Environ(), "OVS_RUNDIR="+dir, "OVS_LOGDIR="+dir, "OVS_DBDIR="+dir)
	run := func(argv ...string) string {
		t.Helper()
		cmd := exec.Command(filepath.Join(bin, argv[0]), argv[1:]...)
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", argv, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	run("ovsdb-tool", "create", dir+"/conf.db", "../../schema/vswitch/vswitch.ovsschema")
	server := exec.Command(filepath.Join(bin, "ovsdb-server"), dir+"/conf.db", "--remote=punix:"+dir+"/db.sock", "--unixctl=none", "-vconsole:off")
	server.Env = env
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Kill()
		server.Wait()
	})
	vsctl := func(args ...string) string {
		t.Helper()
		return run(append([]string{"ovs-vsctl", "--db=unix:" + dir + "/db.sock", "--retry", "--timeout=10", "--no-wait"}, args...)...)
	}
	vsctl("init")
	eth := func(name string, index int) link.Link { return link.Link{Name: name, Index: index, Ethernet: true} }
	links := &fakeLinks{list: []link.Link{{Name: "lo", Index: 1, Loopback: true}, eth("eth0", 2), eth("eth1", 3),
		{Name: "slave", Index: 4, Ethernet: true, Master: 9}, {Name: "native", Index: 9, Ethernet: true, Kind: "bridge"}, {Name: "tun", Index: 10}}}
	s, err := New(Config{Remote: "unix:" + dir + "/db.sock", Links: links, News: links.News, Timeout: timeout, Log: vlog.Discard(),
		Timers: func(_ context.Context, name string) (string, error) {
			return "bridge " + name + " hello 1.5 tcn 0.00 topology-change 3.21\nport eth0 message-age 0.00 forward-delay 12.34 hold 0.99\n", nil
		},
		FDB: func(_ context.Context, name string) (string, error) {
			return " port  VLAN  MAC                Age\n    5     0  02:00:00:00:00:05    7\n    6    10  02:00:00:00:00:06    8\n", nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Connect(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	transact := func(ops string) string {
		t.Helper()
		return run("ovsdb-client", "transact", "unix:"+dir+"/db.sock", ops)
	}
	return &lab{s, t, links, vsctl, transact}
}

// after applies the database's configuration once it is the next one after
// now, with what ovs-vswitchd would write then; the result ends the wait for it.
func (l *lab) after(change func() error, writes ...string) error {
	l.t.Helper()
	next := l.vsctl("get", "Open_vSwitch", ".", "next_cfg")
	var n int
	if _, err := fmt.Sscan(next, &n); err != nil {
		l.t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- change() }()
	cfg := fmt.Sprint(n + 1)
	l.vsctl("--", "wait-until", "Open_vSwitch", ".", "next_cfg="+cfg)
	l.vsctl(append(append([]string{"--"}, writes...), "--", "set", "Open_vSwitch", ".", "cur_cfg="+cfg)...)
	return <-done
}

func TestErrors(t *testing.T) {
	l := newLab(t, 10*time.Second)
	ctx := context.Background()
	l.vsctl("add-br", "b0", "--", "add-port", "b0", "eth1", "--", "add-br", "fake", "b0", "10")

	list, err := l.Bridges(ctx, true)
	if want := []int32{FirstVirtual, FirstVirtual + 1, 9}; err != nil || !slices.Equal(list, want) {
		t.Errorf("bridges: %v %v, want %v", list, err, want)
	}
	if l.Name(FirstVirtual) != "b0" || l.Name(FirstVirtual+1) != "fake" || l.Name(2) != "" {
		t.Errorf("names %q %q", l.Name(FirstVirtual), l.Name(FirstVirtual+1))
	}
	for _, tt := range []struct {
		what string
		err  error
		want error
	}{
		{"add an empty name", l.AddBridge(ctx, ""), unix.EINVAL},
		{"add br%d", l.AddBridge(ctx, "br%d"), unix.EINVAL},
		{"add a bridge twice", l.AddBridge(ctx, "b0"), unix.EEXIST},
		{"add a fake one's name", l.AddBridge(ctx, "fake"), unix.EEXIST},
		{"add a device's name", l.AddBridge(ctx, "eth0"), unix.EEXIST},
		{"add a port's name", l.AddBridge(ctx, "eth1"), unix.EEXIST},
		{"delete none", l.DelBridge(ctx, "nix"), unix.ENXIO},
		{"port to none", l.AddPort(ctx, "nix", 2), unix.ENODEV},
		{"no device", l.AddPort(ctx, "b0", 77), unix.EINVAL},
		{"lo", l.AddPort(ctx, "b0", 1), unix.EINVAL},
		{"no Ethernet", l.AddPort(ctx, "b0", 10), unix.EINVAL},
		{"a bridge", l.AddPort(ctx, "b0", 9), unix.ELOOP},
		{"itself", l.AddPort(ctx, "b0", FirstVirtual), unix.ELOOP},
		{"its port", l.AddPort(ctx, "b0", 3), unix.EBUSY},
		{"another bridge's port", l.AddPort(ctx, "b0", 4), unix.EBUSY},
		{"delete no port", l.DelPort(ctx, "b0", 2), unix.EINVAL},
		{"delete from none", l.DelPort(ctx, "nix", 2), unix.ENODEV},
		{"set none", l.Set(ctx, "nix", ioctl.STPState, 0, 1), unix.ENODEV},
		{"set a fake one", l.Set(ctx, "fake", ioctl.STPState, 0, 1), unix.EOPNOTSUPP},
		{"hello time", l.Set(ctx, "b0", ioctl.HelloTime, 0, 1001), unix.ERANGE},
		{"port 9", l.Set(ctx, "b0", ioctl.PathCost, 9, 1), unix.EINVAL},
	} {
		if !errors.Is(tt.err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.what, tt.err, tt.want)
		}
	}
}

// A port that the switch cannot open is taken out again.
func TestPortFails(t *testing.T) {
	l := newLab(t, 10*time.Second)
	l.vsctl("add-br", "b0")
	for text, want := range map[string]error{
		"could not open network device eth0 (No such device)":          unix.ENODEV,
		"could not add network device eth0 (Device or resource busy)":  unix.EBUSY,
		"could not open network device eth0 (Operation not permitted)": unix.EPERM,
		"the moon is in the wrong house":                               unix.EINVAL,
	} {
		err := l.after(func() error { return l.AddPort(context.Background(), "b0", 2) },
			"set", "Interface", "eth0", "ofport=-1", `error="`+text+`"`)
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", text, err, want)
		}
		if ports := l.vsctl("list-ports", "b0"); ports != "" {
			t.Errorf("%s: ports are left: %s", text, ports)
		}
	}
	err := l.after(func() error { return l.AddPort(context.Background(), "b0", 2) }, "set", "Interface", "eth0", "ofport=5")
	if err != nil {
		t.Error(err)
	}
	table, err := l.FDB(context.Background(), "b0", false)
	want := []ioctl.FDBEntry{{MAC: [6]byte{2, 0, 0, 0, 0, 5}, Port: 1, Age: 700}, {MAC: [6]byte{2, 0, 0, 0, 0, 6}, Age: 800}}
	if err != nil || !slices.Equal(table, want) {
		t.Errorf("MAC table %v %v, want %v", table, err, want)
	}
}

// Without ovs-vswitchd a change times out, and what was added goes again.
func TestTimeout(t *testing.T) {
	l := newLab(t, 300*time.Millisecond)
	ctx := context.Background()
	if err := l.AddBridge(ctx, "b0"); err != unix.ETIMEDOUT {
		t.Error(err)
	}
	if list := l.vsctl("list-br"); list != "" {
		t.Errorf("bridges are left: %s", list)
	}
	l.vsctl("add-br", "b0")
	if err := l.AddPort(ctx, "b0", 2); err != unix.ETIMEDOUT {
		t.Error(err)
	}
	if list := l.vsctl("list-ports", "b0"); list != "" {
		t.Errorf("ports are left: %s", list)
	}
	if err := l.Set(ctx, "b0", ioctl.STPState, 0, 1); err != unix.ETIMEDOUT {
		t.Error(err)
	}
	if got := l.vsctl("get", "Bridge", "b0", "stp_enable"); got != "true" {
		t.Errorf("stp_enable is %s", got)
	}
}

// The first bridge of a new database brings the row that all bridges hang on:
// nobody has to run ovs-vsctl first.
func TestNewDatabase(t *testing.T) {
	l := newLab(t, 300*time.Millisecond)
	ctx := context.Background()
	l.transact(`["Open_vSwitch",{"op":"delete","table":"Open_vSwitch","where":[]}]`)
	for range 2 {
		if err := l.AddBridge(ctx, "b0"); err != unix.ETIMEDOUT {
			t.Errorf("without a switch: %v, want %v", err, unix.ETIMEDOUT)
		}
		rows := l.transact(`["Open_vSwitch",{"op":"select","table":"Open_vSwitch","where":[],"columns":["bridges"]}]`)
		if rows != `[{"rows":[{"bridges":["set",[]]}]}]` {
			t.Errorf("the table Open_vSwitch has %s", rows)
		}
	}
}

func testPort(name string, ofport *int) *port {
	return &port{name: name, row: &vswitch.Port{Name: name}, ifaces: []*vswitch.Interface{{Name: name, Ofport: ofport}}}
}

func TestNumbers(t *testing.T) {
	of := func(n int) *int { return &n }
	b := &bridge{name: "b"}
	add := func(name string, ofport *int) {
		b.ports = append(b.ports, testPort(name, ofport))
	}
	n := newNumbers()
	add("x", of(3))
	add("y", nil)
	add("z", of(5000))
	want := map[string]int{"x": 1, "z": 2, "y": 3}
	check := func() {
		t.Helper()
		if got := n.of(b); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	check()
	// Numbers stay when ports come, and when their OpenFlow numbers change.
	add("w", of(1))
	b.ports[1] = testPort("y", of(7))
	want["w"] = 4
	check()
	// The numbers of those that went are free.
	b.ports = b.ports[2:]
	add("v", of(3))
	want = map[string]int{"z": 2, "w": 4, "v": 1}
	check()
	for i := range 2000 {
		add(fmt.Sprint("many", i), nil)
	}
	if got := n.of(b); len(got) != maxPortNo {
		t.Errorf("%d ports have numbers", len(got))
	}
	if i := n.index("x"); i != FirstVirtual || n.index("x") != i || n.name(i) != "x" {
		t.Error(i)
	}
	n.forget(func(name string) bool { return name != "x" })
	if n.name(FirstVirtual) != "" {
		t.Error("x is not forgotten")
	}
}
