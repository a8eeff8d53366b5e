// Package jsonrpc carries JSON-RPC 1.0 over a byte stream, as RFC 7047,
// section 4 uses it: both ends may call, messages follow one another with
// nothing between them, and a request's id is any JSON value.
//
// A Session owns one connection. Its calls run on [github.com/cenkalti/rpc2],
// under a codec of this package, which also reads the requests and gives them to
// their handlers without a detour. A request that was read to its end is parsed
// once, where it lies in the buffer; others are framed and checked as they come
// ([Scanner]). Parameters stay raw for a schema-directed parser, and an answer
// that is encoded already goes out as it is.
//
// # Order
//
// A session's handlers run one after the other, on the goroutine that reads
// the connection, in the order of the requests. A handler may keep its
// [Request] and answer later, from any goroutine; the next request is then
// handled meanwhile. What is sent goes out in the order in which Send,
// Reply and the other writing methods were called. Answers to requests that came
// together may go out together: see [Session.OnIdle] and [Session.QueueReply].
//
// # Limits
//
// Messages are limited in depth and size, and what waits to be sent in bytes:
// a peer that sends garbage is told so and dropped, a peer that does not read
// is not read from, and dropped when more than the limit waits for it. Other
// sessions notice nothing.
//
// # Caveats
//
// Strings are checked for control characters and escapes but not for valid
// UTF-8: that belongs to whoever makes values of them.
package jsonrpc
