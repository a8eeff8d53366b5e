package daemon

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"govs/internal/getopt"
)

// Command returns the command of a daemon. o is bound to its flags; run gets
// the started process and the positional arguments. When run returns without
// having called Ready, the --detach parent fails with its error.
func Command(program, short string, o *Options, run func(p *Process, args []string) error) *cobra.Command {
	cmd := Frame(program, short)
	cmd.Args = cobra.ArbitraryArgs
	o.Flags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p, err := Start(program, o)
		if err != nil {
			return err
		}
		err = run(p, args)
		_ = p.Close()
		if err == nil && p.Signal() != 0 {
			return &ExitError{Code: 1, Signal: p.Signal()}
		}
		return err
	}
	return cmd
}

// Frame returns a cobra command without subcommands as all our programs start
// from: -h and -V bound, cobra's own printing of errors and usage off. The
// second line of the version is the command's annotation "version".
func Frame(program, short string) *cobra.Command {
	cmd := &cobra.Command{
		Use: program, Short: short, SilenceErrors: true, SilenceUsage: true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		Annotations:       map[string]string{},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().BoolP("help", "h", false, "display this help message")
	cmd.Flags().BoolP("version", "V", false, "display version information")
	return cmd
}

// VersionText is what --version prints: the line that scripts parse, and one
// that says what this is.
func VersionText(program string) string {
	return VersionLine(program) + "govs, Open vSwitch in Go\n"
}

// Main runs a command of Command or Frame with os.Args and returns the exit status.
func Main(cmd *cobra.Command) int {
	return Execute(cmd, os.Args, os.Stdout, os.Stderr)
}

// Execute runs a command with the given argv and writers and returns the exit
// status: 0, 1 for a failure, or the Code of an *ExitError.
func Execute(cmd *cobra.Command, argv []string, stdout, stderr io.Writer) int {
	program := cmd.Name()
	args, err := getopt.Normalize(cmd.Flags(), argv[1:], cmd.Annotations["permute"] != "no")
	if err != nil {
		var ue *getopt.UsageError
		name := program
		if errors.As(err, &ue) {
			name = argv[0] // as getopt(3) prints it
		}
		fmt.Fprintf(stderr, "%s: %v\n", name, err)
		return 1
	}
	for _, a := range args { // the first of them wins, before anything else is looked at
		if a == "--" {
			break
		}
		if a == "--help" {
			fmt.Fprint(stdout, Help(cmd))
			return 0
		}
		if a == "--version" {
			fmt.Fprint(stdout, VersionText(program))
			if extra := cmd.Annotations["version"]; extra != "" {
				fmt.Fprintln(stdout, extra)
			}
			return 0
		}
	}
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	if err := cmd.Execute(); err != nil {
		var bad *pflag.InvalidValueError
		if errors.As(err, &bad) { // the flag's own words, without pflag's
			err = bad.Unwrap()
		}
		return fatal(stderr, filepath.Base(program), err)
	}
	return 0
}
