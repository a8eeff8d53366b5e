// Package vlog is logging as the Open vSwitch programs have it, under log/slog.
//
// A [System] is the logging of one program: three destinations (console,
// syslog, file), each with a pattern and, module by module, a threshold. A
// module is a name such as "bridge" or "jsonrpc"; [System.Logger] gives its
// *slog.Logger. Libraries take such a logger and know nothing of this package.
// With the default pattern a line in the log file reads
//
//	2026-01-02T03:04:05.678Z|00001|module|LEVEL|text
//
// UTC with milliseconds, a sequence number within the System, module, level,
// text. Attributes are appended to the text as " key=value".
//
// [System.SetLevels] takes what the programs take after -v, [System.Register]
// adds the vlog/ verbs to a control socket, and [Limit] bounds how often a
// logger may write.
//
// # Caveats
//
// A System is not global: two daemons in one process have one each, with their
// own sequence numbers. Every destination is written synchronously, in order;
// a console that does not read stops the writer. A syslog daemon that is
// missing or stuck never does: its datagrams are dropped.
package vlog
