package sysfs

import (
	"testing"

	"golang.org/x/sys/unix"

	"govs/brcompat/ioctl"
)

// What the files hold, as those of a bridge of the kernel's do.
func TestFiles(t *testing.T) {
	br := &ioctl.BridgeInfo{Bridge: ioctl.ID(0x8000, []byte{2, 0, 0, 0, 0, 1}), Root: ioctl.ID(0x64, []byte{2, 0, 0, 0, 0, 2}),
		ForwardDelay: 1500, HelloTime: 200, MaxAge: 2000, AgeingTime: 30000, STP: true, RootPort: 3, RootPathCost: 4}
	for name, want := range map[string]string{
		"bridge_id": "8000.020000000001", "root_id": "0064.020000000002", "forward_delay": "1500", "hello_time": "200",
		"max_age": "2000", "ageing_time": "30000", "stp_state": "1", "priority": "32768", "root_port": "3", "root_path_cost": "4",
		"topology_change": "0", "gc_timer": "0", "group_addr": "1:80:c2:0:0:0",
	} {
		if got := bridgeFiles[name].show(br); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	p := &ioctl.PortInfo{ID: 0x8001, DesignatedPort: 0x8001, PathCost: 19, State: ioctl.StateForwarding}
	for name, want := range map[string]string{
		"port_id": "0x8001", "port_no": "0x1", "designated_port": "32769", "path_cost": "19", "priority": "32", "state": "3",
		"hairpin_mode": "0", "designated_bridge": "0000.000000000000",
	} {
		if got := portFiles[name].show(p); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	for name, want := range map[string]uint32{"priority": 0o644, "bridge_id": 0o444, "flush": 0o200} {
		if got := bridgeFiles[name].mode() &^ unix.S_IFMT; got != want {
			t.Errorf("%s has the mode %o, want %o", name, got, want)
		}
	}
}

func TestParseNumber(t *testing.T) {
	for text, want := range map[string]uint64{"0": 0, "1\n": 1, "1500": 1500, "0x10": 16, "0X1f\n": 31, "010": 8, "08": 0, "0x": 0, "0xg": 0, "12abc": 12} {
		if got, err := parseNumber([]byte(text)); err != nil || got != want {
			t.Errorf("%q: %d %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "\n", "on", "-1", "x10"} {
		if got, err := parseNumber([]byte(text)); err != unix.EINVAL {
			t.Errorf("%q: %d %v", text, got, err)
		}
	}
}

func FuzzParseNumber(f *testing.F) {
	for _, s := range []string{"", "0", "0x", "0xff\n", "0777", "18446744073709551616", "1 2"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		if _, err := parseNumber(p); err != nil && len(p) > 0 && p[0] >= '0' && p[0] <= '9' {
			t.Errorf("%q begins with a digit and is no number", p)
		}
	})
}
