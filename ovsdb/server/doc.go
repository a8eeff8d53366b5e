// Package server is the database server: databases, sessions, monitors, locks
// and remotes, usable inside any process.
//
//	s := server.New(server.Config{Log: sys.Logger})
//	engine, err := file.Open("conf.db")
//	err = s.AddDatabase("conf.db", engine)
//	err = s.AddRemote("punix:db.sock")
//	..
//	s.Close()
//
// # The way of a transaction
//
// A session's goroutine parses a request and hands it to its database. Whoever
// has the database's turn takes whatever waits as one batch, executes it
// in order, each transaction on the version that the one before it made, and
// appends all changes to the engine as one group, which shares one flush. Then
// it publishes the new version, sends the updates to those who monitor, and
// answers. So an update precedes the reply to the transaction that made it, and
// a reply says that the change survives. The turn is the session's own where
// nobody has it, for one batch; what came meanwhile is the sequencer's, a
// goroutine that each database has.
//
// Selects, initial monitor replies and compactions read a published version
// on the goroutine of whoever asked, and hold nobody else up. A session's
// requests are answered in the order in which they came, but for transactions
// that wait: these are set aside, looked at again when a commit touched what
// they wait for, and never polled.
//
// # Other servers' databases
//
// A peer keeps a connection to another server, and a feed takes one database's
// contents and updates from it and makes changes of them, which go the way of
// every transaction. A backup's replicator has a feed for each database that it
// shares with the active server. A relay has one, serves what it brings, and
// forwards to the source what clients want to change: the source's update comes
// before its answer, so clients see their own update first, too.
//
// # Locks of this package
//
// Server.mu, or a relay's forwards.mu, then session.mu; Database.pub, then the
// session's output queue. pub is held only while a version is published. The turn is no lock: who has it
// waits for nobody.
//
// # Caveats
//
// A conversion holds up the writers of its database while it lasts.
//
// A backup and a relay have rows' _version of their own. A relay's locks are its
// own, too: a transaction that asserts one and writes is refused by the source,
// as with the C server. What a client sent while the source was away waits
// without a limit of time; what the source may have got when it went is answered
// with "canceled", done or not.
package server
