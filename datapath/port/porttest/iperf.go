package porttest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// root is the repository's top folder, above the test's.
func root() string {
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil || dir == "/" {
			break
		}
		dir = filepath.Dir(dir)
	}
	return dir
}

// iperf3 is the path of Debian's program, or the test is skipped.
func iperf3(t testing.TB) string {
	t.Helper()
	out, err := exec.Command(filepath.Join(root(), "tools/debs/debs"), "clients").Output()
	if err == nil {
		path := filepath.Join(strings.TrimSpace(string(out)), "bin", "iperf3")
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	path, err := exec.LookPath("iperf3")
	if err != nil {
		t.Skip("needs iperf3")
	}
	return path
}

// IPerf runs iperf3 from client to server, which has the address addr, and
// returns what the receiver got, in bits a second of payload. It skips the
// test where there is no iperf3.
func IPerf(t testing.TB, client, server *NS, addr string, args ...string) (bps float64) {
	t.Helper()
	prog := iperf3(t)
	daemon := exec.Command(prog, "-s", "-1", "--forceflush")
	stdout, err := daemon.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(daemon); err != nil {
		t.Fatal(err)
	}
	defer daemon.Wait()
	defer daemon.Process.Kill()
	// Its banner says that it listens.
	if _, err := stdout.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	go func() {
		buf := make([]byte, 4096)
		for {
			if _, err := stdout.Read(buf); err != nil {
				return
			}
		}
	}()
	out, err := client.Run(prog, append([]string{"-c", addr, "-J"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		End struct {
			Received struct {
				Bps float64 `json:"bits_per_second"`
			} `json:"sum_received"`
			Sum struct {
				Bps  float64 `json:"bits_per_second"`
				Lost float64 `json:"lost_percent"`
			} `json:"sum"`
		} `json:"end"`
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	if r.End.Received.Bps == 0 {
		return r.End.Sum.Bps * (1 - r.End.Sum.Lost/100)
	}
	return r.End.Received.Bps
}
