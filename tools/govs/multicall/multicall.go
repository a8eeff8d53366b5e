// Package multicall finds the program that is meant: by the name under which
// govs was called, or by its first argument.
//
// # Caveats
//
// A daemon that goes to the background executes govs once more with the same
// arguments, so that it appears under that name in the list of processes.
package multicall

import (
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"govs/brcompat/brcompatd"
	"govs/brcompat/launch"
	"govs/ctl/appctl"
	"govs/ctl/dbclient"
	"govs/ctl/dbtool"
	"govs/ctl/vsctl"
	"govs/internal/daemon"
	ovsdb "govs/ovsdb/server/command"
	"govs/tools/govs/manuals"
	"govs/tools/govs/service"
	"govs/tools/govs/up"
	vswitchd "govs/vswitchd/daemon"
)

// Exit statuses of govs itself.
const (
	ExitOK    = 0
	ExitUsage = 1
)

// A program takes its arguments, its name first, and returns its exit status.
type program func(argv []string, stdout, stderr io.Writer) int

func programs() map[string]program {
	return map[string]program{
		"brcompat":      launch.Main,
		"brctl":         launch.Main,
		"ovs-appctl":    command(appctl.New),
		"ovs-brcompatd": command(brcompatd.Command),
		"ovs-vswitchd":  command(vswitchd.Command),
		"ovsdb-server":  command(ovsdb.New),
		"ovs-vsctl":     vsctl.Main,
		"ovsdb-client":  command(dbclient.New),
		"ovsdb-tool":    command(dbtool.New),
		"ovs-ctl":       service.Main,
	}
}

func command(make func() *cobra.Command) program {
	return func(argv []string, stdout, stderr io.Writer) int {
		return daemon.Execute(make(), argv, stdout, stderr)
	}
}

// Main runs the program that argv names and returns its exit status.
func Main(argv []string, stdout, stderr io.Writer) int {
	known := programs()
	if len(argv) > 0 {
		if run, ok := known[filepath.Base(argv[0])]; ok {
			return run(argv, stdout, stderr)
		}
		argv = argv[1:]
	}
	if len(argv) > 0 {
		switch argv[0] {
		case "up":
			return command(up.Command)(argv, stdout, stderr)
		case "man", "completion", "complete":
			return manuals.Main(argv, stdout, stderr)
		case "ctl":
			return service.Main(append([]string{"govs ctl"}, argv[1:]...), stdout, stderr)
		}
		if run, ok := known[argv[0]]; ok {
			return run(argv, stdout, stderr)
		}
		switch argv[0] {
		case "-h", "--help", "help":
			usage(stdout, known)
			return ExitOK
		case "-V", "--version", "version":
			fmt.Fprint(stdout, daemon.VersionText("govs"))
			return ExitOK
		}
		fmt.Fprintf(stderr, "govs: unknown program %q; use --help for usage\n", argv[0])
		return ExitUsage
	}
	usage(stderr, known)
	return ExitUsage
}

func usage(w io.Writer, known map[string]program) {
	fmt.Fprint(w, "govs: Open vSwitch in Go, all programs in one\n"+
		"usage: govs up [OPTIONS]        database and switch in the foreground\n"+
		"       govs ctl COMMAND         start, stop and check the daemons, as ovs-ctl does\n"+
		"       govs man [PROGRAM]       manual pages\n"+
		"       govs completion SHELL    completion for bash, zsh or fish\n"+
		"       govs PROGRAM [ARG...]    one of the programs, which are:\n\n")
	for _, name := range slices.Sorted(maps.Keys(known)) {
		fmt.Fprintf(w, "  %s\n", name)
	}
	fmt.Fprint(w, "\nA link to govs with a program's name is that program.\n")
}
