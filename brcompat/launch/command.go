package launch

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"

	"govs/brcompat/divert"
	"govs/brcompat/notify"
	"govs/internal/daemon"
	"govs/internal/manual"
)

// Exit statuses, beside those of the program that is started.
const (
	statusFailed    = 125 // the launcher itself failed
	statusCannotRun = 126 // the program cannot be run
	statusNotFound  = 127 // there is no such program
)

// An execError is an error with an exit status of its own.
type execError struct {
	error
	status int
}

func (e *execError) Unwrap() error { return e.error }

// Main runs the command with the given arguments, and returns its exit status
// where it could not become another program.
func Main(argv []string, stdout, stderr io.Writer) int {
	name := "brcompat"
	if len(argv) > 0 && filepath.Base(argv[0]) == "brctl" {
		name = "brctl"
	}
	var err error
	if name == "brctl" {
		err = wrapper(argv)
	} else {
		err = command(argv, stdout, stderr)
	}
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "%s: %v\n", name, err)
	var ee *execError
	if errors.As(err, &ee) {
		return ee.status
	}
	return statusFailed
}

// defaultSocket is where the daemon listens if nothing is said.
func defaultSocket() string { return filepath.Join(daemon.RunDir(), notify.SocketName) }

func command(argv []string, stdout, stderr io.Writer) error {
	root := &cobra.Command{
		Use: "brcompat", Short: "run programs whose bridge ioctls ovs-brcompatd answers",
		SilenceErrors: true, SilenceUsage: true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		Args:              cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return errors.New("missing command name (use --help for help)")
		},
	}
	version := root.Flags().BoolP("version", "V", false, "display version information")
	run := root.RunE
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if *version {
			_, err := io.WriteString(stdout, daemon.VersionText("brcompat"))
			return err
		}
		return run(cmd, args)
	}
	root.AddCommand(execCommand(), divertCommand(), undivertCommand())
	root.SetHelpCommand(&cobra.Command{Hidden: true})
	root.SetArgs(argv[1:])
	root.SetOut(stdout)
	root.SetErr(stderr)
	return root.Execute()
}

func execCommand() *cobra.Command {
	var o Options
	cmd := &cobra.Command{
		Use:                   "exec [--socket=PATH] [--sysfs=auto|none|hide|fuse] [--or-native] -- COMMAND [ARG]...",
		Short:                 "run a command under the launcher",
		DisableFlagsInUseLine: true,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("exec: no command given")
			}
			return o.exec(args)
		},
	}
	cmd.Flags().SetInterspersed(false)
	cmd.Flags().StringVar(&o.Socket, "socket", defaultSocket(), "socket of ovs-brcompatd")
	cmd.Flags().BoolVar(&o.OrNative, "or-native", false, "run the command as it is where ovs-brcompatd does not run")
	cmd.Flags().StringVar(&o.Sysfs, "sysfs", "auto", "what the command sees of /sys/class/net: auto, none, hide or fuse")
	return cmd
}

// diverter works on this system, with this program.
func diverter(cmd *cobra.Command) (*divert.Diverter, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return &divert.Diverter{Program: self, Out: cmd.OutOrStdout()}, nil
}

func divertCommand() *cobra.Command {
	var ifupdown bool
	cmd := &cobra.Command{
		Use: "divert [--ifupdown]", Short: "put the wrapper in the place of brctl", Args: cobra.NoArgs, DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := diverter(cmd)
			if err != nil {
				return err
			}
			return d.Divert(ifupdown)
		},
	}
	cmd.Flags().BoolVar(&ifupdown, "ifupdown", false, "have networking.service run ifup and ifdown under the launcher, too")
	return cmd
}

func undivertCommand() *cobra.Command {
	return &cobra.Command{
		Use: "undivert", Short: "put the real brctl back", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := diverter(cmd)
			if err != nil {
				return err
			}
			return d.Undivert()
		},
	}
}

// exec becomes the command, under the launcher.
func (o *Options) exec(argv []string) error {
	if err := o.check(); err != nil {
		return err
	}
	file, err := exec.LookPath(argv[0])
	if err != nil {
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
			return &execError{fmt.Errorf("%s: command not found", argv[0]), statusNotFound}
		}
		return &execError{err, statusCannotRun}
	}
	mode := o.mode(file)
	if outer, under := probe(); under {
		// There can be no second listener, nor need there be one.
		if o.Sysfs != "auto" && outer != mode {
			return fmt.Errorf("--sysfs=%s: this runs under a launcher with --sysfs=%s already", mode, outer)
		}
		return program(file, argv)
	}
	c, err := notify.Dial(o.Socket)
	if o.OrNative && errors.Is(err, notify.ErrNoDaemon) {
		return program(file, argv)
	}
	if err != nil {
		return err
	}
	if mode == notify.FUSE && elsewhere(c) {
		// The bridges in the view would be another namespace's.
		if o.Sysfs == "fuse" {
			return errors.New("--sysfs=fuse: ovs-brcompatd is in another network namespace")
		}
		mode = notify.None
	}
	return run(c, mode, o.Sysfs != "auto", file, argv)
}

// Manual describes the program.
func Manual() *manual.Program {
	flags := execCommand().Flags()
	return &manual.Program{
		Name: "brcompat", Section: 8, Summary: "run programs whose bridge ioctls ovs-brcompatd answers",
		Usage: []string{"exec [--socket=PATH] [--sysfs=MODE] [--or-native] -- COMMAND [ARG...]", "divert [--ifupdown]", "undivert"},
		Text: []string{
			"It becomes COMMAND. When that, or a program that it starts, asks the kernel for bridges by the old ioctls, as brctl(8) does, ovs-brcompatd answers for the switch's bridges. Programs that use netlink are not reached.",
			"MODE says what the command sees of /sys/class/net: with none, what is there; with hide, nothing, so that brctl falls back to ioctls for all bridges; with fuse, the switch's bridges beside all devices, for scripts and programs that look there; auto chooses hide for brctl and fuse for others, and none where that is not possible.",
			"A link named brctl to it runs the brctl of the system in that way, and where ovs-brcompatd does not run as it is, on the kernel's own bridges. divert puts such a link where the system's brctl is, which becomes brctl.distrib, by dpkg-divert(1): upgrades of its package leave that alone. With --ifupdown, networking.service runs ifup(8) and ifdown(8) under the launcher as well. undivert takes both away.",
		},
		Groups: []manual.Group{{Title: "Commands", Verbs: []manual.Verb{
			{Name: "exec", Args: []string{"--", "COMMAND", "[ARG...]"}, Text: "run a command under the launcher"},
			{Name: "divert", Text: "put the wrapper in the place of brctl"},
			{Name: "undivert", Text: "put the real brctl back"},
		}}},
		Flags: flags,
		Parts: []manual.Part{
			{Title: "Exit status", Text: []string{"That of the command; 125 where the launcher failed, 126 where the command cannot be run, 127 where there is none."}},
			{Title: "See also", Text: []string{"ovs-brcompatd(8), brctl(8)"}},
		},
	}
}
