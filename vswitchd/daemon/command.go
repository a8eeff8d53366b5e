package daemon

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"govs/internal/clock"
	"govs/internal/daemon"
	"govs/vswitchd/desired"
)

// Command is the program ovs-vswitchd.
func Command() *cobra.Command {
	base := &daemon.Options{
		Capabilities: []int{unix.CAP_NET_ADMIN, unix.CAP_NET_RAW, unix.CAP_NET_BROADCAST, unix.CAP_IPC_LOCK, unix.CAP_NET_BIND_SERVICE, unix.CAP_BPF, unix.CAP_PERFMON},
		Modules: []string{
			"bridge", "reconnect", "netdev", "netdev_linux", "dpif_netdev", "collectors", "sflow",
			"ovsdb_idl", "ofproto_dpif", "xlate", "bond", "lacp", "stp", "rstp",
		},
	}
	var f flags
	cmd := daemon.Command("ovs-vswitchd", "Open vSwitch daemon", base,
		func(p *daemon.Process, args []string) error { return f.run(p, base, args) })
	cmd.Use = "ovs-vswitchd [DATABASE]"
	f.bind(cmd.Flags())
	return cmd
}

// flags are the options that ovs-vswitchd has beside those of all daemons.
type flags struct {
	mlockall      bool
	dummy         dummyFlag
	disableSystem bool
	disableRoute  bool
}

func (f *flags) bind(fs *pflag.FlagSet) {
	fs.BoolVar(&f.mlockall, "mlockall", false, "lock all of the process's memory into physical RAM")
	fs.Var(&f.dummy, "enable-dummy", "dummy devices exist; =override: for all types; =system: for type system")
	fs.Lookup("enable-dummy").NoOptDefVal = "on"
	fs.BoolVar(&f.disableSystem, "disable-system", false, "no bridges of datapath_type system")
	fs.BoolVar(&f.disableRoute, "disable-system-route", false, "accepted; there are no tunnels that would follow the system's routes")
}

// dummyFlag is --enable-dummy[=override|system].
type dummyFlag struct {
	on    bool
	value string
}

func (f *dummyFlag) String() string { return f.value }
func (f *dummyFlag) Type() string   { return "string" }

// Set notes the argument; any word but the two known ones just enables.
func (f *dummyFlag) Set(s string) error {
	f.on, f.value = true, s
	return nil
}

func (f *flags) dummies() desired.Dummy {
	if !f.dummy.on {
		return desired.DummyOff
	}
	return Dummies(f.dummy.value)
}

// Dummies is what the argument of --enable-dummy asks for.
func Dummies(word string) desired.Dummy {
	switch word {
	case "override":
		return desired.DummyOverride
	case "system":
		return desired.DummySystem
	}
	return desired.DummyOn
}

// garbage is how much the heap may hold, in percent of what lives: little lives
// here, and a change of the configuration looks at all of it.
const garbage = 300

func (f *flags) run(p *daemon.Process, base *daemon.Options, args []string) error {
	if len(args) > 1 {
		return fmt.Errorf("at most one non-option argument accepted; use --help for usage")
	}
	o := Options{
		RunDir:        daemon.RunDir(),
		TLS:           &base.TLS,
		Version:       daemon.Version,
		Dummy:         f.dummies(),
		DisableSystem: f.disableSystem,
		Pins:          PinDir(daemon.RunDir()),
		Log:           p.Logger,
		Ready:         p.Ready,
	}
	if len(args) == 1 {
		o.Remote = args[0]
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
	if f.mlockall {
		if err := unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE); err != nil {
			p.Logger("vswitchd").Error("mlockall failed: " + err.Error())
		}
	}
	var warp *clock.Dummy
	if o.Dummy != desired.DummyOff {
		warp = clock.NewDummy()
		o.Clock = warp
	}
	s, err := New(o)
	if err != nil {
		return err
	}
	s.log.Info(fmt.Sprintf("ovs-vswitchd (Open vSwitch) %s", o.Version))
	s.Register(p.Ctl)
	if warp != nil {
		warp.Register(p.Ctl, s.Settle)
	}
	p.Ctl.Register("exit", "[--cleanup]", 0, 1, func(_ context.Context, args []string) (string, error) {
		if len(args) == 1 && args[0] != "--cleanup" {
			return "", fmt.Errorf("unknown option %s", args[0])
		}
		if len(args) == 1 {
			s.Cleanup()
		}
		p.Exit()
		return "", nil
	})
	p.Serve()
	return s.Run(p.Context())
}
