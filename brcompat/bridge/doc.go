// Package bridge shows the switch's configuration database as Linux bridges,
// and changes it as brctl(8) asks: the database is the only truth, read at
// each question, so that whatever ovs-vsctl did shows at once.
//
// A Switch is connected to the database (through libovsdb)
// and asks the kernel about devices (Links) and the switch about its MAC
// table (FDB). A bridge here is one of the table Bridge, or a fake bridge: a
// port with fake_bridge, whose ports are those of its parent with its tag. A
// port is a row of the table Port; one that has no device (a bond, a patch, a
// tunnel) gets an interface index of our own, from FirstVirtual up.
//
// A change is done as ovs-vsctl(8) does it, and is over when the switch says so
// (cur_cfg) and the device is there. Errors are of type unix.Errno, those that
// a kernel bridge gives for the same mistake.
//
// # Caveats
//
// Port numbers of a bridge and virtual interface indexes are kept while the
// Switch lives, and may be others in the next one.
//
// A port that AddPort made carries external_ids:brctl=true, by which Prune
// knows that it may delete it when its device vanishes.
//
// An address that somebody gives the device of a bridge that AddBridge made
// becomes other_config:hwaddr; but not where it is that of one of its ports,
// for that may have been the switch's own choice.
//
// A fake bridge has no settings of its own: Set gives EOPNOTSUPP.
package bridge
