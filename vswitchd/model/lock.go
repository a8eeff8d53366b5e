package model

import (
	"context"
	"encoding/json"
	"fmt"
	"net"

	"github.com/cenkalti/rpc2"
	"github.com/cenkalti/rpc2/jsonrpc"
)

// A lock is a session that does nothing but hold, or wait for, one lock of
// the server.
type lock struct {
	client *rpc2.Client
	got    chan struct{} // closed when the lock is ours
	lost   chan struct{} // closed when it was stolen
	waits  bool          // another session held it when we asked
}

// takeLock asks for the lock. The lock may be ours at once or later: see got.
func takeLock(ctx context.Context, conn net.Conn, name string) (*lock, error) {
	l := &lock{
		client: rpc2.NewClientWithCodec(jsonrpc.NewJSONCodec(conn)),
		got:    make(chan struct{}),
		lost:   make(chan struct{}),
	}
	l.client.SetBlocking(true) // so that handlers run in order, and need no lock
	locked, stolen := false, false
	l.client.Handle("echo", func(_ *rpc2.Client, args []any, reply *[]any) error {
		*reply = args
		return nil
	})
	l.client.Handle("locked", func(*rpc2.Client, []json.RawMessage, *[]any) error {
		if !locked {
			locked = true
			close(l.got)
		}
		return nil
	})
	l.client.Handle("stolen", func(*rpc2.Client, []json.RawMessage, *[]any) error {
		if !stolen {
			stolen = true
			close(l.lost)
		}
		return nil
	})
	go l.client.Run()
	var reply struct {
		Locked bool `json:"locked"`
	}
	if err := l.client.CallWithContext(ctx, "lock", []any{name}, &reply); err != nil {
		l.close()
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	if reply.Locked {
		// The notification "locked" comes only to those who waited.
		close(l.got)
	}
	l.waits = !reply.Locked
	return l, nil
}

// probe asks the server for a sign of life.
func (l *lock) probe(ctx context.Context) error {
	var reply []any
	return l.client.CallWithContext(ctx, "echo", []any{"lock"}, &reply)
}

func (l *lock) done() <-chan struct{} { return l.client.DisconnectNotify() }

func (l *lock) close() { _ = l.client.Close() }
