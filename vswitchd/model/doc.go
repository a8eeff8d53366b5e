// Package model is the switch's view of its database: a session with an
// OVSDB server, and immutable snapshots of the rows that configure the
// switch. The rows are the structs that schema/vswitch generates; libovsdb's
// client keeps them.
//
// A DB lives as long as its connection. Whoever wants to stay connected for
// ever opens the next one when Done is closed (see Backoff); nothing of the
// old one lives on.
//
// # Locks
//
// Only one ovs-vswitchd may configure the switches of a database at a time,
// which the lock "ovs_vswitchd" sees to (RFC 7047, section 4.1.8). libovsdb
// offers no locks, so that the lock is held by a second session with the same
// server. When either session ends, or the lock is stolen, the DB is done.
//
// # Caveats
//
// As the lock belongs to another session, transactions cannot assert it: in
// the moment in which another process steals the lock, a transaction of ours
// that is on its way still commits.
//
// Snapshots hold only the columns that configure the switch, and those in
// which it left what must survive a restart (Interface.ofport).
package model
