package daemon

import (
	"os"
	"path/filepath"

	"govs/internal/stream"
)

// Version is the version of this build; the linker sets it
// (-X govs/internal/daemon.Version=...).
var Version = "3.5.90"

// RunDir returns $OVS_RUNDIR, or /run/openvswitch: pid files and sockets.
func RunDir() string { return stream.RunDir() }

// LogDir returns $OVS_LOGDIR, or /var/log/openvswitch.
func LogDir() string { return env("OVS_LOGDIR", "/var/log/openvswitch") }

// SysconfDir returns $OVS_SYSCONFDIR, or /etc.
func SysconfDir() string { return env("OVS_SYSCONFDIR", "/etc") }

// DBDir returns $OVS_DBDIR, or $OVS_SYSCONFDIR/openvswitch, or /etc/openvswitch.
func DBDir() string {
	if d := os.Getenv("OVS_DBDIR"); d != "" {
		return d
	}
	return filepath.Join(SysconfDir(), "openvswitch")
}

// PkgDataDir returns $OVS_PKGDATADIR, or /usr/share/openvswitch: schemas.
func PkgDataDir() string { return env("OVS_PKGDATADIR", "/usr/share/openvswitch") }

func env(name, def string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return def
}

// In returns path itself where it is absolute, and otherwise the absolute path
// below dir.
func In(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return AbsPath(filepath.Join(dir, path))
}

// AbsPath makes a path of the command line absolute by the working directory.
// A daemon does this before Ready, which may leave that directory.
func AbsPath(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	return abs
}
