package daemon

import (
	"strings"

	"github.com/spf13/cobra"

	"govs/internal/manual"
)

// Manual describes the program of a command that has no commands of its own.
func Manual(cmd *cobra.Command) *manual.Program {
	_, usage, _ := strings.Cut(cmd.Use, " ")
	if usage == "" {
		usage = "[OPTIONS] [ARG...]"
	}
	return &manual.Program{
		Name: cmd.Name(), Section: 8, Summary: cmd.Short, Usage: []string{usage}, Flags: cmd.Flags(),
		Parts: []manual.Part{
			{Title: "Environment", Text: []string{
				"OVS_RUNDIR: pid files and sockets. OVS_LOGDIR: log files. OVS_DBDIR: databases. OVS_SYSCONFDIR: configuration. OVS_PKGDATADIR: schemas.",
			}},
			{Title: "Files", Text: []string{"RUNDIR/" + cmd.Name() + ".pid: the process id. RUNDIR/" + cmd.Name() + ".PID.ctl: the control socket, for ovs-appctl(8). LOGDIR/" + cmd.Name() + ".log: the log."}},
			{Title: "See also", Text: []string{"ovs-appctl(8), ovs-vsctl(8), ovsdb-server(1), ovs-vswitchd(8)"}},
		},
	}
}

// Help is the text of --help: cmd.Long where there is one, and otherwise what
// Manual knows.
func Help(cmd *cobra.Command) string {
	if cmd.Long != "" {
		return cmd.Long
	}
	return Manual(cmd).Help()
}
