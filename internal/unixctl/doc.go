// Package unixctl is the control channel of the daemons: a Unix domain socket
// on which ovs-appctl sends a verb with string arguments and gets a text back.
//
// The protocol is JSON-RPC 1.0 without framing: a request is
// {"method":VERB,"params":[STRING,...],"id":ANY}, its answer
// {"id":..,"result":TEXT,"error":null} or {"id":..,"error":TEXT}. Requests of
// one connection are carried out in order; connections do not wait for each
// other. A message that is no request, or that is malformed, closes its
// connection.
//
// A [Server] collects verbs with [Server.Register]; [Listen] binds its socket,
// [Server.Serve] answers. [Call] and [Dial] are the client's side.
//
// # Caveats
//
// Handlers run on the goroutine of their connection: those of different
// connections run at the same time, and lock for themselves. A handler's
// context ends when its client goes away or the server closes.
package unixctl
