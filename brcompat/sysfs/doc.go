// Package sysfs shows the bridges of the switch below /sys/class/net, as the
// kernel shows its own, for programs that look there instead of asking by
// ioctl: a FUSE file system that a launcher mounts over the real folder, in a
// mount namespace of its own.
//
// What is in it:
//
//   - each device of the real folder, as a symbolic link to the same place;
//   - a bridge of ours as a folder BR with links to what the device has
//     (address, mtu, statistics), the folder bridge/ with a file for each
//     setting, the folder brif/ with a link for each port, and brforward, the
//     MAC table;
//   - a port of ours as a folder PORT with such links, brport/ and master.
//
// Writing to a file of bridge/ or brport/ sets what the file is called after.
//
// # What is cached
//
// The kernel keeps what does not change for as long as it likes: that a bridge
// has a folder bridge/ and what is in it, that a port has none. It asks anew
// each time whether a name is a bridge or a port, and whether a bridge has a
// port: so a script that tests for these sees what the database holds. Only who
// reads the whole folder, as brctl show does, gets the ports that are in it for a
// tenth of a second, and then asks for none of a thousand ports twice; for its
// other questions the daemon does not ask the database whether something changed
// of which it was not told yet. When a port goes meanwhile, the kernel is told.
//
// # Caveats
//
// Files for which the switch has no notion (multicast_*, nf_call_*,
// vlan_filtering) are not there.
//
// A port that has no network device (a bond, a tunnel) is in brif/ and can be
// opened, but is not listed beside the devices.
package sysfs
