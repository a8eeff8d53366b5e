// Package mac is the learning table of a bridge: which port each station was
// last heard on, in each VLAN (IEEE 802.1Q, clause 8.8; ovs-actions(7), "Learn
// source MAC").
//
// A port is known by its name, that is by its row of the Port table, so that
// the table outlives changes of configuration that do not concern the port.
//
// Time is an argument. Nothing here starts a goroutine: the owner calls Expire
// about once a second, and is told through Options.Changed when what Lookup
// answers has changed for an address, so that megaflows are looked at again.
//
// The common case, a station heard again where it was heard before, takes a
// read lock and stores a time. Two queues, one for the whole table and one for
// each port, say what expires or is evicted next; a refreshed entry is put
// right in them only when its turn to go comes.
//
// # Caveats
//
// Lookup does not look at the age of what it finds: an entry answers until
// Expire removes it.
package mac
