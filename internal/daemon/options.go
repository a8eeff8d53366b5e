package daemon

import (
	"github.com/spf13/pflag"

	"govs/internal/stream"
)

// Options are the options that all daemons share. The zero value is a daemon
// in the foreground without pid file and log file, with a control socket.
type Options struct {
	PidFile          OptionalString // --pidfile[=FILE]; relative to RunDir
	OverwritePidFile bool
	Detach           bool
	Monitor          bool
	NoChdir          bool
	NoSelfConfine    bool           // accepted; there is no confinement
	User             string         // --user=USER[:GROUP]
	Unixctl          string         // socket, relative to RunDir; "none"; "" the default
	Verbose          []string       // arguments of -v in order
	LogFile          OptionalString // --log-file[=FILE]
	SyslogTarget     string
	SyslogMethod     string
	TLS              stream.TLSOptions

	// Capabilities that a daemon keeps under --user, as capability numbers
	// (unix.CAP_NET_ADMIN ..).
	Capabilities []int
	// Modules are log modules that -v accepts beside the well-known ones.
	Modules []string
	// KeepStdout leaves standard output open behind --detach, for a program whose
	// output goes on.
	KeepStdout bool
	// Embedded is a daemon within a process that is not its own: no signals, no
	// detaching, no change of directory, no notification of systemd.
	Embedded bool
}

// OptionalString is an option whose argument may be left out.
type OptionalString struct {
	Set   bool
	Value string // "" means the default
}

// Flags binds the options to fs. Parse the command line through package getopt
// ([Main] does), for pflag alone misreads -v.
func (o *Options) Flags(fs *pflag.FlagSet) {
	o.PidFile.flag(fs, "pidfile", "create pidfile (default: RUNDIR/PROG.pid)")
	fs.BoolVar(&o.OverwritePidFile, "overwrite-pidfile", o.OverwritePidFile, "with --pidfile, start even if already running")
	fs.BoolVar(&o.Detach, "detach", o.Detach, "run in background as daemon")
	fs.BoolVar(&o.Monitor, "monitor", o.Monitor, "creates monitoring process")
	fs.BoolVar(&o.NoChdir, "no-chdir", o.NoChdir, "do not chdir to '/'")
	fs.BoolVar(&o.NoSelfConfine, "no-self-confinement", o.NoSelfConfine, "accepted for compatibility")
	fs.StringVar(&o.User, "user", o.User, "username:group changes the effective daemon user:group")
	fs.StringVar(&o.Unixctl, "unixctl", o.Unixctl, "override default control socket name")
	o.LogFlags(fs)
	o.TLS.Flags(fs)
}

// LogFlags binds only the options of logging, as commands have them.
func (o *Options) LogFlags(fs *pflag.FlagSet) {
	fs.VarP((*list)(&o.Verbose), "verbose", "v", "set logging levels")
	fs.Lookup("verbose").NoOptDefVal = absent
	o.LogFile.flag(fs, "log-file", "enable logging to specified file (default: LOGDIR/PROG.log)")
	fs.StringVar(&o.SyslogMethod, "syslog-method", o.SyslogMethod, "specify how to send messages to syslog daemon: (libc|unix:file|udp:ip:port|null)")
	fs.StringVar(&o.SyslogTarget, "syslog-target", o.SyslogTarget, "also send syslog msgs to HOST:PORT via UDP")
}

// absent is what pflag passes for an optional argument that is not there, where
// the command line did not go through getopt.
const absent = " "

func (s *OptionalString) flag(fs *pflag.FlagSet, name, usage string) {
	fs.Var(optionalValue{s}, name, usage)
	fs.Lookup(name).NoOptDefVal = absent
}

type optionalValue struct{ s *OptionalString }

func (v optionalValue) String() string {
	if v.s == nil {
		return ""
	}
	return v.s.Value
}
func (v optionalValue) Type() string { return "file" }
func (v optionalValue) Set(s string) error {
	if s == absent {
		s = ""
	}
	*v.s = OptionalString{Set: true, Value: s}
	return nil
}

type list []string

func (l *list) String() string { return "" }
func (l *list) Type() string   { return "spec" }
func (l *list) Set(s string) error {
	if s == absent {
		s = ""
	}
	*l = append(*l, s)
	return nil
}
