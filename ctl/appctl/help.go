package appctl

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"govs/internal/daemon"
	"govs/internal/getopt"
	"govs/internal/manual"
)

// Manual describes the program.
func Manual() *manual.Program { return page(New().Flags()) }

func page(fs *pflag.FlagSet) *manual.Program {
	return &manual.Program{
		Name: program, Section: 8, Summary: "queries and controls Open vSwitch daemons",
		Usage: []string{"[-t TARGET] COMMAND [ARG...]"},
		Text: []string{
			"It sends a command to the control socket of a running daemon and prints the answer.",
			"TARGET is the name of a daemon, whose pid file tells its socket, or the path of a socket.",
		},
		Groups: []manual.Group{{Title: "Commands that every daemon has", Verbs: []manual.Verb{
			{Name: "list-commands", Text: "print the commands of the target"},
			{Name: "version", Text: "print the version of the target"},
			{Name: "exit", Text: "end the target"},
			{Name: "memory/show", Text: "print what takes memory"},
			{Name: "coverage/show", Text: "print how often what happened"},
			{Name: "vlog/list", Text: "print the log levels"},
			{Name: "vlog/list-pattern", Text: "print the log patterns"},
			{Name: "vlog/set", Args: []string{"[SPEC]"}, Text: "set log levels: any of a module, a destination and a level"},
			{Name: "vlog/reopen", Text: "open the log file anew"},
		}}},
		Parts: []manual.Part{
			{Title: "Exit status", Text: []string{"0: success. 1: a wrong command line, or no connection. 2: the daemon answered with an error."}},
			{Title: "Environment", Text: []string{"OVS_RUNDIR: where pid files and sockets are."}},
			{Title: "See also", Text: []string{"ovs-vswitchd(8), ovsdb-server(1), ovs-brcompatd(8)"}},
		},
		Flags: fs, Running: commands,
	}
}

// commands asks the daemon that the words name for its commands.
func commands(words []string) (all []manual.Verb) {
	var out bytes.Buffer
	args := append([]string{program, "-T", "2", "-vconsole:off"}, words...)
	if daemon.Execute(New(), append(args, "list-commands"), &out, io.Discard) != 0 {
		return nil
	}
	for line := range strings.Lines(out.String()) {
		if name, ok := strings.CutPrefix(line, "  "); ok {
			name, usage, _ := strings.Cut(name, " ")
			all = append(all, manual.Verb{Name: strings.TrimSpace(name), Text: strings.TrimSpace(usage)})
		}
	}
	return all
}

// printOptions lists the options for the completion of shells.
func printOptions(cmd *cobra.Command) {
	w := cmd.OutOrStdout()
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		long, short := "", ""
		switch getopt.Kind(f) {
		case getopt.Required:
			long, short = "=ARG", " ARG"
		case getopt.Optional:
			long, short = "=[ARG]", " [ARG]"
		}
		fmt.Fprintf(w, "--%s%s\n", f.Name, long)
		if f.Shorthand != "" {
			if short == "" {
				short = " "
			}
			fmt.Fprintf(w, "-%s%s\n", f.Shorthand, short)
		}
	})
}

func compact(w *strings.Builder, raw []byte) error {
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return err
	}
	w.Write(b.Bytes())
	return nil
}
