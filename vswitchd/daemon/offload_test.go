package daemon_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"govs/vswitchd/daemon"
)

// TestOffload is the flow cache in the kernel under the switch: settings,
// status, VLANs, and what is left of it when the switch ends.
func TestOffload(t *testing.T) {
	n := newNetwork(t, 3)
	l := newLab(t, func(f func()) { n.within(n.at, f) })
	fs := t.TempDir()
	if err := unix.Mount("bpf", fs, "bpf", 0, ""); err != nil {
		t.Skip("needs the privilege to mount a BPF file system: ", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(fs, unix.MNT_DETACH) })
	o := daemon.Options{Pins: filepath.Join(fs, "govs", "test")}
	l.start(o)
	l.vsctl("add-br", "br0", "--", "add-port", "br0", "v1", "--", "add-port", "br0", "v2", "--", "add-port", "br0", "v3")
	status := func() string { return l.vsctl("get", "Interface", "v1", "status") }
	if got := status(); strings.Contains(got, "datapath=userspace") {
		t.Skip("no eBPF here: ", got)
	} else if got != "{datapath=ebpf, driver_name=veth, driver_version=\"1.0\", firmware_version=\"\"}\n" {
		t.Errorf("status of v1: %s", got)
	}
	talk := func(what string) {
		t.Helper()
		if err := n.transfer(1, 2, 16<<20); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	packets := func() string { _, after, _ := strings.Cut(l.appctl("ebpf/show"), "packets: "); return after }
	talk("TCP at default offloads")
	l.appctl("revalidator/wait")
	if strings.HasPrefix(packets(), "0\n") {
		t.Errorf("nothing took the way through the kernel:\n%s", l.appctl("ebpf/show"))
	}
	if got := l.appctl("dpctl/dump-flows", "-m"); !strings.Contains(got, "offloaded:yes, dp:ebpf") {
		t.Errorf("no megaflow is offloaded:\n%s", got)
	}

	// Access and trunk: a cable leads to another bridge, where host 3 is.
	n.ip("-n", n.at, "link", "add", "t0", "type", "veth", "peer", "name", "t1")
	n.ip("-n", n.at, "link", "set", "t0", "up")
	n.ip("-n", n.at, "link", "set", "t1", "up")
	l.vsctl("set", "Port", "v1", "tag=10", "--", "set", "Port", "v2", "tag=20", "--", "add-port", "br0", "t0", "trunks=10,20",
		"--", "add-br", "br1", "--", "add-port", "br1", "t1", "trunks=10,20", "--", "del-port", "v3", "--", "add-port", "br1", "v3", "tag=10")
	l.appctl("revalidator/wait")
	if n.reaches(1, "10.9.0.2") {
		t.Error("hosts in different VLANs hear each other")
	}
	for _, way := range [][2]int{{1, 3}, {3, 1}} {
		if err := n.transfer(way[0], way[1], 16<<20); err != nil {
			t.Errorf("TCP between access and trunk port: %v", err)
		}
	}
	if n.reaches(2, "10.9.0.3") {
		t.Error("hosts in different VLANs hear each other over the cable")
	}
	l.vsctl("clear", "Port", "v1", "tag", "--", "clear", "Port", "v2", "tag", "--", "del-br", "br1", "--", "del-port", "t0")

	// The setting, while packets flow.
	for _, x := range []struct{ word, want string }{
		{"false", "{datapath=userspace, datapath_reason=\"other_config:ebpf-offload is false\", driver_name=veth, driver_version=\"1.0\", firmware_version=\"\"}\n"},
		{"true", "{datapath=ebpf, driver_name=veth, driver_version=\"1.0\", firmware_version=\"\"}\n"},
		{"false", "{datapath=userspace, datapath_reason=\"other_config:ebpf-offload is false\", driver_name=veth, driver_version=\"1.0\", firmware_version=\"\"}\n"},
		{"auto", "{datapath=ebpf, driver_name=veth, driver_version=\"1.0\", firmware_version=\"\"}\n"},
	} {
		l.vsctl("set", "Open_vSwitch", ".", "other_config:ebpf-offload="+x.word)
		if got := status(); got != x.want {
			t.Errorf("ebpf-offload=%s: %s", x.word, got)
		}
		talk("ebpf-offload=" + x.word)
	}
	_, show, _ := strings.Cut(l.appctl("dpctl/show", "-s"), ": v1\n")
	if strings.HasPrefix(show, "    RX packets:0 ") || show == "" {
		t.Errorf("v1 has no statistics: %s", show)
	}

	// Nobody runs the switch, and then somebody does.
	talk("before the end")
	l.quit()
	if !n.reaches(1, "10.9.0.2") {
		t.Error("traffic ended with the switch")
	}
	done := make(chan error, 1)
	go func() { done <- n.transfer(2, 1, 256<<20) }()
	l.start(o)
	if err := <-done; err != nil {
		t.Error("TCP over a restart: ", err)
	}
	talk("after a restart")

	// What is configured no more when it comes back does not go on.
	l.quit()
	l.run("ovs-vsctl", "--no-wait", "del-port", "v2")
	l.start(o)
	if n.reaches(1, "10.9.0.2") {
		t.Error("port v2 forwards, and is not there any more")
	}
	if pins, _ := os.ReadDir(o.Pins); len(pins) != 1 {
		t.Errorf("pinned: %v", pins)
	}
	l.sw.Cleanup()
	l.quit()
	if _, err := os.Stat(o.Pins); err == nil {
		t.Error("something is left after a cleanup")
	}
}
