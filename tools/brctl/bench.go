package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	benchBridges = 10
	benchPorts   = 100 // of each bridge
)

// bench measures both sides, round by round, and gives medians.
func bench(o options, out io.Writer) error {
	e, err := newEnds(o)
	if err != nil {
		return err
	}
	defer e.close()
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	fmt.Fprintf(out, "%s, %d cores, %s, Linux %s; %d interleaved rounds, medians\n", time.Now().UTC().Format("2006-01-02"),
		runtime.NumCPU(), runtime.Version(), strings.TrimSpace(string(release)), o.rounds)
	t := table{out: out}
	t.head("bare", "launcher")
	if err := e.others(o, &t); err != nil {
		return err
	}
	t.head("kernel", "govs")
	if err := e.script(o, &t); err != nil {
		return err
	}
	begin := time.Now()
	if err := e.fill(); err != nil {
		return err
	}
	fmt.Fprintf(out, "(%d bridges of %d ports on both sides, made in %.1f s)\n", benchBridges, benchPorts, time.Since(begin).Seconds())
	missed, err := e.show(o, &t)
	if err != nil {
		return err
	}
	if missed > 0 {
		return fmt.Errorf("%d targets are missed", missed)
	}
	return nil
}

// fill makes the bridges of the benchmark: pairs of devices, both ends of which
// are ports. They are down, so that nothing goes round in circles.
func (e *ends) fill() error {
	var links, kernel strings.Builder
	vsctl := []string{e.vsctl, "--no-wait"}
	for b := range benchBridges {
		br := fmt.Sprintf("br%d", b)
		fmt.Fprintf(&kernel, "%s addbr %s\n", e.brctl, br)
		vsctl = append(vsctl, "--", "add-br", br)
		for p := range benchPorts / 2 {
			x, y := fmt.Sprintf("x%dp%d", b, p), fmt.Sprintf("y%dp%d", b, p)
			fmt.Fprintf(&links, "link add %s type veth peer name %s\n", x, y)
			for _, dev := range []string{x, y} {
				fmt.Fprintf(&kernel, "%s addif %s %s\n", e.brctl, br, dev)
				vsctl = append(vsctl, "--", "add-port", br, dev)
			}
		}
	}
	for _, s := range []*side{e.kernel, e.govs} {
		if err := s.must("sh", "-c", "ip -batch - <<'E'\n"+links.String()+"E"); err != nil {
			return err
		}
	}
	if err := e.kernel.must("sh", "-ec", kernel.String()); err != nil {
		return err
	}
	if err := e.govs.must(vsctl...); err != nil {
		return err
	}
	return e.govs.must(e.vsctl, "--timeout=50", "set", "Open_vSwitch", ".", "external_ids:filled=true") // waits for the switch
}

// A table prints what was measured.
type table struct{ out io.Writer }

func (t *table) head(first, second string) {
	fmt.Fprintf(t.out, "\n%-52s %10s %10s %8s %8s\n", "", first, second, "ratio", "target")
}

// row prints a line, and tells whether the target was missed.
func (t *table) row(what string, native, govs time.Duration, target float64) bool {
	ratio := float64(govs) / float64(native)
	goal, missed := "", false
	if target > 0 {
		goal = fmt.Sprintf("<= %.1f", target)
		if missed = ratio > target; missed {
			goal += " MISSED"
		}
	}
	fmt.Fprintf(t.out, "%-52s %10s %10s %8.2f %8s\n", what, short(native), short(govs), ratio, goal)
	return missed
}

func short(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%.1f us", float64(d)/1e3)
	case d < time.Second:
		return fmt.Sprintf("%.2f ms", float64(d)/1e6)
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

func median(d []time.Duration) time.Duration {
	d = slices.Clone(d)
	slices.Sort(d)
	return d[len(d)/2]
}

// pair measures two commands in turns, the first on the kernel's side and the
// second on ours, unless both are ours. Each does its work n times.
func (e *ends) pair(rounds, n int, both bool, native, ours []string) (time.Duration, time.Duration, error) {
	first := e.kernel
	if both {
		first = e.govs
	}
	var a, b []time.Duration
	for range rounds {
		for _, m := range []struct {
			s    *side
			argv []string
			took *[]time.Duration
		}{{first, native, &a}, {e.govs, ours, &b}} {
			r, err := m.s.run(1, m.argv...)
			if err != nil {
				return 0, 0, err
			}
			if r.Status != 0 {
				return 0, 0, fmt.Errorf("%s: %s", strings.Join(m.argv, " "), r)
			}
			*m.took = append(*m.took, r.Took[0]/time.Duration(n))
		}
	}
	return median(a), median(b), nil
}

func (e *ends) launch(mode string, argv ...string) []string {
	return append([]string{e.brcompat, "exec", "--sysfs=" + mode, "--"}, argv...)
}

// others measures programs that ask nothing about bridges, with and without the
// launcher.
func (e *ends) others(o options, t *table) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for _, m := range []struct {
		what string
		argv []string
	}{
		{"600,000 system calls (dd of single bytes)", []string{"dd", "if=/dev/zero", "of=/dev/null", "bs=1", "count=300000", "status=none"}},
		{"300 processes (sh, true)", []string{"sh", "-ec", "i=0; while [ $i -lt 300 ]; do i=$((i+1)); /bin/true; done"}},
		{"a program that does nothing (true)", []string{"true"}},
	} {
		for _, mode := range o.modes {
			native, ours, err := e.pair(max(o.rounds/2, 5), 1, true, m.argv, e.launch(mode, m.argv...))
			if err != nil {
				return err
			}
			t.row(m.what+", "+mode, native, ours, 0)
		}
		native, ours, err := e.pair(max(o.rounds/2, 5), 1, true, m.argv, append([]string{self, "-allow", "--"}, m.argv...))
		if err != nil {
			return err
		}
		t.row("  under any filter, without a launcher", native, ours, 0)
	}
	return nil
}

// script measures a thousand commands of all kinds under one launcher.
func (e *ends) script(o options, t *table) error {
	line := "$b addbr t0; $b addif t0 v0; $b setfd t0 4; $b stp t0 off; $b show t0 >/dev/null; $b showmacs t0 >/dev/null; $b delif t0 v0; $b delbr t0"
	script := []string{"sh", "-ec", "b=" + e.brctl + "; i=0; while [ $i -lt 125 ]; do i=$((i+1)); " + line + "; done"}
	for _, mode := range o.modes {
		native, ours, err := e.pair(1, 1000, false, script, e.launch(mode, script...))
		if err != nil {
			return err
		}
		t.row("one of 1,000 commands under one launcher, "+mode, native, ours, 0)
	}
	return nil
}

// show measures brctl show of many bridges and ports.
func (e *ends) show(o options, t *table) (missed int, err error) {
	targets := map[string]float64{"hide": 5, "fuse": 8}
	for _, mode := range o.modes {
		if mode == "none" {
			continue // it would show the kernel's own bridges only
		}
		native, ours, err := e.pair(o.rounds, 1, false, []string{e.brctl, "show"}, e.launch(mode, e.brctl, "show"))
		if err != nil {
			return missed, err
		}
		if t.row(fmt.Sprintf("brctl show, %d bridges of %d ports, %s", benchBridges, benchPorts, mode), native, ours, targets[mode]) {
			missed++
		}
		loop := []string{"sh", "-ec", "for i in 1 2 3 4 5 6 7 8 9 10; do " + e.brctl + " show >/dev/null; done"}
		if native, ours, err = e.pair(max(o.rounds/5, 3), 10, false, loop, e.launch(mode, loop...)); err != nil {
			return missed, err
		}
		t.row("  one of ten under one launcher", native, ours, 0)
	}
	return missed, nil
}

// allowAll becomes a command under a seccomp filter that allows everything.
func allowAll(argv []string) error {
	if len(argv) == 0 {
		return errors.New("-allow needs a command")
	}
	file, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	prog := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW}}
	err = unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER,
		uintptr(unsafe.Pointer(&unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]})), 0, 0)
	if err != nil {
		return err
	}
	return syscall.Exec(file, argv, os.Environ())
}
