package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"govs/tools/peer"
)

// A commandLine is one whole-process measure: a program of ours and the same one
// of Debian's are run with it in turns.
type commandLine struct {
	name    string
	program string
	args    []string
	undo    []string // for ovs-vsctl, afterwards; not measured
	target  float64  // the least ratio C by govs, of both costs; 0: none
}

// ports is how many the database of the commands has.
const ports = 1000

func commandLines(dir string) []commandLine {
	target := "unix:" + filepath.Join(dir, "db.sock")
	return []commandLine{
		{name: "ovs-vsctl --version", program: "ovs-vsctl", args: []string{"--version"}, target: 0.5},
		{name: "ovs-vsctl list-br", program: "ovs-vsctl", args: []string{"list-br"}},
		{name: "ovs-vsctl get bridge", program: "ovs-vsctl", args: []string{"get", "bridge", "br0", "name"}},
		{name: "ovs-vsctl set bridge", program: "ovs-vsctl", args: []string{"--no-wait", "set", "bridge", "br0", "other_config:a=b"}, undo: []string{"--no-wait", "clear", "bridge", "br0", "other_config"}},
		{name: "ovs-vsctl list-ports", program: "ovs-vsctl", args: []string{"list-ports", "br0"}},
		{name: "ovs-vsctl find interface", program: "ovs-vsctl", args: []string{"--columns=name", "find", "interface", "name=p500"}},
		{name: "ovs-vsctl show", program: "ovs-vsctl", args: []string{"show"}},
		{name: "ovs-vsctl add-port", program: "ovs-vsctl", args: []string{"--no-wait", "add-port", "br0", "new"}, undo: []string{"--no-wait", "del-port", "new"}, target: 1},
		{name: "ovs-vsctl del-port", program: "ovs-vsctl", args: []string{"--no-wait", "del-port", "p1"}, undo: []string{"--no-wait", "add-port", "br0", "p1"}},
		{name: "ovsdb-client transact", program: "ovsdb-client", args: []string{"transact", target, `["Open_vSwitch",{"op":"select","table":"Bridge","where":[],"columns":["name"]}]`}},
		{name: "ovs-appctl version", program: "ovs-appctl", args: []string{"-t", "ovsdb-server", "version"}},
	}
}

// cost is what one run of a process took, in milliseconds.
type cost struct{ wall, cpu float64 }

// commands measures the commands on a database with many ports, which our
// ovsdb-server serves.
func commands(o options) error {
	schema, err := os.ReadFile("schema/vswitch/vswitch.ovsschema")
	if err != nil {
		return err
	}
	dir := filepath.Join(o.dir, "commands")
	program := filepath.Join(o.bin, "ovsdb-server")
	if err := peer.Create(program, dir, schema); err != nil {
		return err
	}
	server, err := peer.Run(program, dir, "--remote=punix:"+filepath.Join(dir, "db.sock"), "--pidfile")
	if err != nil {
		return err
	}
	defer server.Stop()
	c := commander{dir: dir, ours: o.bin, theirs: map[string]string{}}
	root := filepath.Join(filepath.Dir(o.theirs), "root/usr")
	c.libraries = strings.Join(globs(filepath.Join(root, "lib/*-linux-gnu"), filepath.Join(root, "../lib/*-linux-gnu")), ":")
	for _, p := range []string{"ovs-vsctl", "ovsdb-client", "ovs-appctl"} {
		c.theirs[p] = filepath.Join(root, "bin", p) // not the shell script that stands before it
	}
	fill := []string{"--no-wait", "add-br", "br0"}
	for i := range ports {
		fill = append(fill, "--", "add-port", "br0", fmt.Sprint("p", i))
	}
	if _, err := c.run(filepath.Join(o.bin, "ovs-vsctl"), fill); err != nil {
		return err
	}
	fmt.Printf("\n%-44s %10s %10s %8s  %10s %10s %8s  %s\n", fmt.Sprintf("commands, %d ports, ms for a process", ports), "CPU govs", "CPU C", "ratio", "wall govs", "wall C", "ratio", "target")
	for _, l := range commandLines(dir) {
		if err := c.measure(l, 15*o.rounds); err != nil {
			return err
		}
	}
	return nil
}

func globs(patterns ...string) (all []string) {
	for _, p := range patterns {
		found, _ := filepath.Glob(p) // the patterns are good
		all = append(all, found...)
	}
	return all
}

type commander struct {
	dir, ours string
	theirs    map[string]string // paths of the C programs
	libraries string            // of those
}

// run runs a program to its end.
func (c *commander) run(path string, args []string) (cost, error) {
	cmd := exec.Command(path, args...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), "OVS_RUNDIR="+c.dir, "OVS_DBDIR="+c.dir, "OVS_LOGDIR="+c.dir, "OVS_SYSLOG_METHOD=null", "LD_LIBRARY_PATH="+c.libraries)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	begin := time.Now()
	if err := cmd.Run(); err != nil {
		return cost{}, fmt.Errorf("%s: %w: %s", path, err, &errs)
	}
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	return cost{ms(time.Since(begin)), ms(cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime())}, nil
}

// measure runs both programs in turns, and prints a row.
func (c *commander) measure(l commandLine, times int) error {
	ours, theirs := filepath.Join(c.ours, l.program), c.theirs[l.program]
	var wall, cpu [2][]float64
	for i := range times + 1 {
		for k, path := range []string{ours, theirs} {
			got, err := c.run(path, l.args)
			if err != nil {
				return err
			}
			if l.undo != nil {
				if _, err := c.run(filepath.Join(c.ours, "ovs-vsctl"), l.undo); err != nil {
					return err
				}
			}
			if i > 0 { // the first brings the files into memory
				wall[k], cpu[k] = append(wall[k], got.wall), append(cpu[k], got.cpu)
			}
		}
	}
	a, b, x, y := median(cpu[0]), median(cpu[1]), median(wall[0]), median(wall[1])
	target := ""
	if l.target > 0 {
		target = fmt.Sprintf(">= %g", l.target)
		if b/a < l.target || y/x < l.target {
			target += " missed"
		}
	}
	fmt.Printf("%-44s %10.2f %10.2f %8.2f  %10.2f %10.2f %8.2f  %s\n", l.name, a, b, b/a, x, y, y/x, target)
	return nil
}
