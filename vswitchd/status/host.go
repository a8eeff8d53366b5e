package status

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"syscall"
)

// Host reads the host's system type and version from os-release(5), which is
// ID and VERSION_ID there; "" for what it does not tell.
func Host() (kind, version string) {
	for _, path := range []string{"/etc/os-release", "/usr/lib/os-release"} {
		f, err := os.Open(path)
		if err != nil {
			continue
		}
		defer f.Close()
		return osRelease(f)
	}
	return "", ""
}

func osRelease(r io.Reader) (kind, version string) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), "=")
		value = strings.Trim(value, `"'`)
		switch key {
		case "ID":
			kind = value
		case "VERSION_ID":
			version = value
		}
	}
	return kind, version
}

// HostStats are the key-value pairs of Open_vSwitch.statistics that concern
// the host: cpu, load_average, memory, file_systems. What cannot be found out
// is left out.
func HostStats() map[string]string {
	stats := map[string]string{"cpu": number(runtime.NumCPU())}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		if f := strings.Fields(string(text)); len(f) >= 3 {
			stats["load_average"] = strings.Join(f[:3], ",")
		}
	}
	if f, err := os.Open("/proc/meminfo"); err == nil {
		stats["memory"] = memory(f)
		f.Close()
	}
	var fs syscall.Statfs_t
	if syscall.Statfs("/", &fs) == nil && fs.Blocks > 0 {
		kb := uint64(fs.Bsize)
		total, used := fs.Blocks*kb/1024, (fs.Blocks-fs.Bfree)*kb/1024
		stats["file_systems"] = fmt.Sprintf("/,%d,%d", total, used)
	}
	return stats
}

// memory is total RAM, RAM in use, the part of that which is cache, total swap
// and swap in use, in kilobytes.
func memory(r io.Reader) string {
	kb := make(map[string]int)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var n int
		key, rest, _ := strings.Cut(lines.Text(), ":")
		if _, err := fmt.Sscan(rest, &n); err == nil {
			kb[key] = n
		}
	}
	used := kb["MemTotal"] - kb["MemFree"]
	return fmt.Sprintf("%d,%d,%d,%d,%d", kb["MemTotal"], used, kb["Buffers"]+kb["Cached"],
		kb["SwapTotal"], kb["SwapTotal"]-kb["SwapFree"])
}
