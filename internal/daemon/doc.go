// Package daemon is the life of a daemon: options, logging, pid file, control
// socket, going to the background, the monitor, signals, and the end.
//
// [Main] runs a [cobra.Command] made by [Command]; its run function gets a
// [Process] and works until [Process.Context] ends:
//
//	func New() *cobra.Command {
//		opts := &daemon.Options{}
//		cmd := daemon.Command("ovsdb-server", "Open vSwitch database server", opts,
//			func(p *daemon.Process, args []string) error {
//				... open sockets, register verbs on p.Ctl ...
//				p.Ready()
//				<-p.Context().Done()
//				return nil
//			})
//		cmd.Flags().StringArrayVar(...)
//		return cmd
//	}
//
// With --detach the process starts itself again in a session of its own; the
// parent waits until the child calls [Process.Ready], and takes over its exit
// status where it fails first. Until Ready the child keeps the working
// directory and stderr, so that error messages are seen and relative paths of
// the command line mean what they should; paths that are needed later are made
// absolute before ([AbsPath], [In]). Then stdin, stdout and stderr become
// /dev/null, console logging ends, and the working directory is / unless
// --no-chdir is given.
//
// With --monitor one more process in between restarts the daemon when it dies
// of a signal that tells of a programming error; a Go panic counts (SIGABRT).
//
// SIGTERM, SIGINT and SIGHUP, where they are not ignored from the start, end the context; after the run function has
// returned and pid file and socket are removed, Main dies of that signal, as the
// C daemons do. The verb exit ends the context and the exit status is 0.
//
// # Caveats
//
// Control connections wait until [Process.Serve] or Ready, so that no client
// sees half the verbs. --user executes the program once more with the new
// credentials, so it needs an executable that this user may run.
package daemon
