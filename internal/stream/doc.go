// Package stream opens the connections that Open vSwitch programs name by
// strings: unix:FILE, tcp:HOST[:PORT], ssl:HOST[:PORT] to connect,
// punix:FILE, ptcp:[PORT][:IP], pssl:[PORT][:IP] to listen (ovsdb(7)). IPv6
// addresses stand in brackets. The port is 6640 where it is left out;
// [Options] has another default for OpenFlow (6653).
//
// A socket of punix: appears atomically: it is bound under a temporary name
// and renamed, so a client never meets a socket on which nobody listens, and a
// stale file is replaced. Paths longer than a socket address may be go through
// /proc/self/fd.
//
// [TLSOptions] are the --private-key family of options. Files are read again
// when they change, and with BootstrapCA a missing CA certificate is taken from
// the first peer and written once.
//
// # Caveats
//
// Relative paths are relative to the run directory (OVS_RUNDIR), not to the
// working directory; [ResolvePath] is the rule.
package stream
