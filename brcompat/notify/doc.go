// Package notify answers the bridge ioctls of the programs that run under the
// launcher. A Server listens on a socket; a launcher sends it the listener of
// its seccomp filter, which makes a session; each trapped ioctl of the session
// is decoded, checked, and answered from the database, or left to the kernel.
//
// What is left to the kernel: everything about names that are no bridge of
// ours; all calls from another network namespace than the daemon's; calls on
// what is not a socket; calls in a binary interface that is not known. For
// those the program is as if there were no filter.
//
// A change asks for CAP_NET_ADMIN in the daemon's user namespace, as the
// kernel would; a question asks for nothing.
//
// # Caveats
//
// A caller's memory is read once. The answers are from that copy, so a caller
// who changes it meanwhile fools only itself. A call that is left to the kernel
// is read by the kernel anew, which then does what it would do without us.
//
// Callers wait while the daemon works. When it dies they get ENOSYS.
package notify
