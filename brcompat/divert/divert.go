// Package divert puts the wrapper of brctl where programs look for brctl, and
// takes it away again, on Debian and its relatives: by dpkg-divert(1), so that
// an upgrade of the package bridge-utils leaves it alone and brings the new
// brctl to where the wrapper looks for it.
//
// The real program goes to brctl.distrib beside it, and a link to brcompat takes
// its place, in one step: at no time is there no brctl. Both names of the folder
// are diverted, /sbin and /usr/sbin, for which of them a package uses depends on
// its version.
//
// # Caveats
//
// What calls brctl by way of the link goes on working when ovs-brcompatd does
// not run: on the kernel's own bridges. But it does not when brcompat is
// removed: undivert first.
package divert

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// names are the names that brctl may have, the better one first.
var names = []string{"/usr/sbin/brctl", "/sbin/brctl"}

// suffix is what the real program's name gets, as dpkg-divert does it.
const suffix = ".distrib"

// unit is the drop-in that starts Debian's networking under the launcher.
const unit = "/etc/systemd/system/networking.service.d/brcompat.conf"

// A Diverter works on the files below Root, with the dpkg that is there.
type Diverter struct {
	Root    string // "" for /
	Program string // the file that the link is to point to
	Out     io.Writer
}

// ErrUnsupported says that this system has no dpkg-divert.
var ErrUnsupported = errors.New("not supported here: it needs dpkg-divert, which Debian and its relatives have")

// Divert puts the link in brctl's place. A second call changes nothing. Ifupdown
// says that Debian's networking.service is to run under the launcher, too.
func (d *Diverter) Divert(ifupdown bool) error {
	place, err := d.place()
	if err != nil {
		return err
	}
	for i, n := range names {
		if _, err := d.run("--local", "--no-rename", "--divert", n+suffix, "--add", n); err != nil {
			if i > 0 && lstat(filepath.Join(d.Root, place+suffix)) != nil { // nothing was moved yet
				d.run("--local", "--no-rename", "--divert", names[0]+suffix, "--remove", names[0])
			}
			return err
		}
	}
	file := filepath.Join(d.Root, place)
	switch have, err := os.Readlink(file); {
	case err == nil && have == d.Program:
		fmt.Fprintf(d.Out, "%s is a link to %s already\n", place, d.Program)
	case err == nil && isOurs(have), errors.Is(lstat(file), os.ErrNotExist):
		err = d.link(file)
		if err != nil {
			return err
		}
		fmt.Fprintf(d.Out, "%s is a link to %s now\n", place, d.Program)
	default:
		if err := d.aside(file); err != nil {
			return err
		}
		fmt.Fprintf(d.Out, "%s is a link to %s now, and the real one is %s\n", place, d.Program, place+suffix)
	}
	if ifupdown {
		return d.writeUnit()
	}
	return nil
}

// Undivert puts the real program back. Where nothing is diverted, it does
// nothing.
func (d *Diverter) Undivert() error {
	place, err := d.place()
	if err != nil {
		return err
	}
	file := filepath.Join(d.Root, place)
	if to, err := os.Readlink(file); err == nil && isOurs(to) {
		if err := os.Rename(file+suffix, file); errors.Is(err, os.ErrNotExist) {
			err = os.Remove(file)
			if err != nil {
				return err
			}
			fmt.Fprintf(d.Out, "%s is gone: there was no real one\n", place)
		} else if err != nil {
			return err
		} else {
			fmt.Fprintf(d.Out, "%s is the real one again\n", place)
		}
	} else {
		fmt.Fprintf(d.Out, "%s is no link to brcompat\n", place)
	}
	for _, n := range names {
		owner, err := d.run("--listpackage", n)
		if err != nil {
			return err
		}
		to, err := d.run("--truename", n)
		if err != nil {
			return err
		}
		if owner != "LOCAL" || to != n+suffix {
			continue // nobody's, or somebody else's
		}
		if _, err := d.run("--local", "--no-rename", "--divert", n+suffix, "--remove", n); err != nil {
			return err
		}
	}
	if err := os.Remove(filepath.Join(d.Root, unit)); err == nil {
		fmt.Fprintf(d.Out, "%s is gone (systemctl daemon-reload takes notice)\n", unit)
		os.Remove(filepath.Dir(filepath.Join(d.Root, unit))) // if it is empty
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// place is the name where brctl is, or where it would be.
func (d *Diverter) place() (string, error) {
	for _, n := range names {
		for _, s := range []string{"", suffix} {
			if lstat(filepath.Join(d.Root, n+s)) == nil {
				return n, nil
			}
		}
	}
	for _, n := range names {
		if st, err := os.Stat(filepath.Join(d.Root, filepath.Dir(n))); err == nil && st.IsDir() {
			return n, nil
		}
	}
	return "", errors.New("there is neither /usr/sbin nor /sbin")
}

func lstat(file string) error {
	_, err := os.Lstat(file)
	return err
}

// isOurs tells whether a link is one to brcompat, wherever that is.
func isOurs(target string) bool { return filepath.Base(target) == "brcompat" }

// aside gives the real program its other name, and puts the link in its place.
func (d *Diverter) aside(file string) error {
	err := os.Link(file, file+suffix)
	if errors.Is(err, os.ErrExist) {
		// An older one that somebody left there; what is in place is newer.
		if err = os.Remove(file + suffix); err == nil {
			err = os.Link(file, file+suffix)
		}
	}
	if err != nil {
		return err
	}
	return d.link(file)
}

// link puts the link in a file's place.
func (d *Diverter) link(file string) error {
	tmp := fmt.Sprintf("%s.brcompat-%d", file, os.Getpid())
	if err := os.Symlink(d.Program, tmp); err != nil {
		return err
	}
	if err := os.Rename(tmp, file); err != nil {
		os.Remove(tmp)
		return err
	}
	return nil
}

// writeUnit makes networking.service run ifup and ifdown under the launcher.
func (d *Diverter) writeUnit() error {
	file := filepath.Join(d.Root, unit)
	run := d.Program + " exec --or-native --sysfs=fuse -- "
	text := `# Written by brcompat divert --ifupdown, and removed by brcompat undivert.
[Unit]
Wants=ovs-brcompatd.service
After=ovs-brcompatd.service

[Service]
ExecStart=
ExecStart=` + run + `/sbin/ifup -a --read-environment
ExecStart=-/bin/sh -c 'if [ -f /run/network/restart-hotplug ]; then exec ` + run + `/sbin/ifup -a --read-environment --allow=hotplug; fi'
ExecStop=
ExecStop=` + run + `/sbin/ifdown -a --read-environment --exclude=lo
`
	if have, err := os.ReadFile(file); err == nil && bytes.Equal(have, []byte(text)) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return err
	}
	fmt.Fprintf(d.Out, "%s is written (systemctl daemon-reload takes notice)\n", unit)
	return nil
}

// run runs dpkg-divert and returns what it prints.
func (d *Diverter) run(args ...string) (string, error) {
	program, err := exec.LookPath("dpkg-divert")
	if err != nil {
		return "", ErrUnsupported
	}
	if d.Root != "" {
		args = append([]string{"--root", d.Root}, args...)
	}
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		text := strings.TrimSpace(errs.String())
		if text == "" {
			text = err.Error()
		}
		return "", fmt.Errorf("dpkg-divert: %s", strings.TrimPrefix(text, "dpkg-divert: error: "))
	}
	return strings.TrimSpace(out.String()), nil
}
