// Package manuals hands out what the programs' descriptions make: manual pages
// and the completion of shells.
//
//	govs man [PROGRAM]           a program's manual page, or the names of all
//	govs man --into=DIR          all of them, into DIR/man1 and DIR/man8
//	govs completion SHELL        for bash, zsh or fish
//	govs complete PROGRAM WORD.. what the last word may become, one a line, with
//	                             a tab and an explanation behind it
//
// A shell's script only asks "govs complete", so that all of them know the same.
package manuals

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"govs/brcompat/brcompatd"
	"govs/brcompat/launch"
	"govs/ctl/appctl"
	"govs/ctl/dbclient"
	"govs/ctl/dbtool"
	"govs/ctl/vsctl"
	"govs/internal/daemon"
	"govs/internal/manual"
	ovsdb "govs/ovsdb/server/command"
	vswitchd "govs/vswitchd/daemon"
)

// date is that of the manual pages' text.
const date = "November 2026"

func programs() map[string]func() *manual.Program {
	of := func(section int, make func() *cobra.Command) func() *manual.Program {
		return func() *manual.Program {
			p := daemon.Manual(make())
			p.Section = section
			return p
		}
	}
	return map[string]func() *manual.Program{
		"brcompat":      launch.Manual,
		"ovs-appctl":    appctl.Manual,
		"ovs-brcompatd": of(8, brcompatd.Command),
		"ovs-vsctl":     vsctl.Manual,
		"ovs-vswitchd":  of(8, vswitchd.Command),
		"ovsdb-client":  dbclient.Manual,
		"ovsdb-server":  of(1, ovsdb.New),
		"ovsdb-tool":    dbtool.Manual,
	}
}

func names() []string { return slices.Sorted(maps.Keys(programs())) }

func program(name string) (*manual.Program, error) {
	describe, ok := programs()[name]
	if !ok {
		return nil, fmt.Errorf("unknown program %q; there are %s", name, strings.Join(names(), ", "))
	}
	return describe(), nil
}

// Main runs "govs man", "govs completion" and "govs complete", the first word of
// argv, and returns the exit status.
func Main(argv []string, stdout, stderr io.Writer) int {
	var err error
	switch argv[0] {
	case "man":
		err = man(argv[1:], stdout)
	case "completion":
		err = completion(argv[1:], stdout)
	case "complete":
		err = complete(argv[1:], stdout)
	}
	if err != nil {
		fmt.Fprintf(stderr, "govs %s: %v\n", argv[0], err)
		return 1
	}
	return 0
}

func man(args []string, w io.Writer) error {
	switch {
	case len(args) == 0:
		_, err := fmt.Fprintln(w, strings.Join(names(), "\n"))
		return err
	case len(args) > 1:
		return errors.New("one program is expected")
	case strings.HasPrefix(args[0], "--into="):
		return install(strings.TrimPrefix(args[0], "--into="))
	}
	p, err := program(args[0])
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, p.Page(date, daemon.Version))
	return err
}

// install writes all pages below a directory of manual pages.
func install(dir string) error {
	for _, name := range names() {
		p, err := program(name)
		if err != nil {
			return err
		}
		file := filepath.Join(dir, fmt.Sprintf("man%d", p.Section), fmt.Sprintf("%s.%d.gz", name, p.Section))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := compressed(file, p.Page(date, daemon.Version)); err != nil {
			return err
		}
	}
	return nil
}

func compressed(file, text string) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	z := gzip.NewWriter(f)
	if _, err := io.WriteString(z, text); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return f.Close()
}

func complete(args []string, w io.Writer) error {
	if len(args) == 0 {
		return errors.New("a program is expected")
	}
	p, err := program(args[0])
	if err != nil {
		return err
	}
	for _, c := range p.Complete(args[1:]) {
		if _, err := fmt.Fprintf(w, "%s\t%s\n", c.Word, c.Text); err != nil {
			return err
		}
	}
	return nil
}

func completion(args []string, w io.Writer) error {
	if len(args) != 1 || scripts[args[0]] == "" {
		return errors.New("bash, zsh or fish is expected")
	}
	_, err := fmt.Fprintf(w, scripts[args[0]], strings.Join(names(), " "))
	return err
}
