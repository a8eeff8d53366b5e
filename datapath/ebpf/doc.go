// Package ebpf is a flow cache in the kernel: programs on the ports' devices
// that carry out what the engine decided for packets that are alike, without
// the engine seeing them.
//
// A Cache has three programs, assembled when it is made (no compiler is
// needed), and maps that they share. User space puts megaflows in: those whose
// mask and actions the programs know. The engine stays complete without it;
// whatever the programs do not know for certain goes to it.
//
// # How a packet travels
//
// A port's packet socket has a filter, which the kernel runs before it makes
// the socket's copy. The filter is where the work is done: it parses the
// packet, looks it up under one mask after the other, charges the port's
// policer, and notes the verdict on the processor's scratch pad. A miss goes to
// the socket, and so to the engine; a hit does not. Behind the socket the same
// packet comes to the program at the device's TCX ingress, which reads the
// pad: it carries out the actions of a hit, and drops everything else, as the
// engine has its copy. So a packet is parsed once, and is never both forwarded
// and given to the engine, however the maps change meanwhile. Where there is
// no socket, as nobody runs the switch at the moment, the ingress program finds
// nothing on the pad and looks the packet up by itself.
//
// A packet leaves by bpf_redirect_peer where the port is one end of a veth pair
// whose other end is in another namespace, else by bpf_redirect. On a TAP
// device, whose other side is the switch, the packet is made to be received by
// the device, and what the host sends meets a third program at TCX egress:
// what that passes on is read by the engine.
//
// Samples (action.Show) are drawn by the programs, too, if they are not many,
// and come to user space through a ring.
//
// # Restarts
//
// With a folder in a BPF file system (Options.Pins) the programs stay attached
// when the process ends, in whatever way, and flows that are in the maps go on
// for a while: Lease. The next Cache takes each device over at the moment when
// Commit says that it knows what to do with packets, or, in the end, what is
// left of devices that are not the switch's any more.
//
// # Caveats
//
// Large segments are policed as a whole: the bucket goes into debt for all of
// their frames, or the segment is dropped.
//
// A capture on a port's device sees what enters, but not what leaves through
// bpf_redirect_peer: that goes straight to the other end.
//
// While no process runs the switch, a device that is neither a veth nor TAP
// leaves promiscuous mode: its hardware may drop frames that it would forward.
//
// Methods that attach programs (New, Cache.Attach, Cache.Refresh, Cache.Commit)
// belong to the network namespace of the calling thread.
package ebpf
